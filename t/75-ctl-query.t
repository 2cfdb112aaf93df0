#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl query tries a JSONPath query on a file."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl  # noqa: E402

import shutil
import tempfile

folder = tempfile.mkdtemp(prefix="rh-ctl-", dir="/tmp")
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
file = os.path.join(folder, "orders.json")
with open(file, "w", encoding="utf-8") as out:
    out.write('{"data": [{"id": 1, "status" : "paid", "total": 1.50},\n {"id": 2}]}')
ctl = Ctl()

done = ctl("query", "$.data[?@.status == 'paid']", file)
is_((done.status, done.out), (0, '{"id": 1, "status" : "paid", "total": 1.50}\n'),
    "the selected values are printed byte for byte")
done = ctl("query", "$.data[*].id", file)
is_((done.status, done.out), (0, "1\n2\n"), "one line per node")
done = ctl("query", "--paths", "$..id", file)
is_((done.status, done.out), (0, "$['data'][0]['id']\n$['data'][1]['id']\n"),
    "--paths prints their paths")
done = ctl("query", "$.nothing", file)
is_((done.status, done.out, done.err), (1, "", ""), "nothing is 1")
done = ctl("query", "$.data[", file)
is_(done.status, 2, "an invalid query ends with status 2")
like(done.err, r"not a selector, at character 8", "the error names position and reason")
done = ctl("query", "$", "/etc/passwd")
is_(done.status, 2, "a file that is not JSON is reported")
like(done.err, "is not JSON", "by name")
done = ctl("query", "$[1]", stdin=b"[1, 2]")
is_((done.status, done.out), (0, "2\n"), "without a file it reads standard input")
done_testing()
