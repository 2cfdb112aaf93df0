# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The harness of t/*.t.

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
    from rhtest import *

    receiver, backend = Receiver(), Backend()
    httpd = Httpd(backend=backend)
    api = httpd.api("acme")
    subscription = api.subscribe(receiver.url + "/ok", ["employee.created"])
    httpd.request("POST", "/employers/acme/employees", {"name": "Ada"})
    got = receiver.wait_for(1)
    ok(verify(subscription["secret"], got[0].headers, got[0].body), "the POST is signed")
    done_testing()

done_testing stops all that was started, and asserts that each httpd ended, left no process, and
logged nothing of level warn or above but what expect=[...] or httpd.expect(...) named.

From the environment: RH_MPM (event, worker, prefork), RH_DB (sqlite3, pgsql), RH_MODULE (the
built mod_resthooks.so), RH_PGSQL (conninfo of a running private cluster), RH_LIBASAN,
RH_LIBTSAN or RH_MEMCHECK (checkers.py), RH_KEEP (leave the ServerRoot), RH_TEST_TIMEOUT (seconds).
"""

import json
import os
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "demo"))
sys.dont_write_bytecode = True

from certificates import Authority
from client import Answer, Api, request
from database import Cluster, Pgsql, Sqlite, pg_tool
from hr_api import HrApi
from httpd import DB, MPM, RULES, SANITIZED, SOURCE, TARGETS, Httpd, Vhost, find_module, free_port
from receiver import Received, Receiver
from signature import sign, verify
from tap import (at_end, diag, done_testing, is_, like, ok, skip, skip_all, watch)


class Backend(HrApi):
    """The demo's HR API, in a thread, until the test ends."""

    def __init__(self):
        super().__init__()
        self.start()
        at_end(self.stop)


def wait_until(condition, timeout=60, step=0.05):
    """Wait until condition() is true; return its last value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


watch(os.environ.get("RH_TEST_TIMEOUT", 1800 if SANITIZED else 900))
