#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The module loads, its configuration is accepted, and its handler responds."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import glob
import subprocess

exported = subprocess.run(["nm", "-D", "--defined-only", find_module()], capture_output=True,
                          text=True, check=True).stdout.split()
names = [name for name in exported[2::3] if not name.startswith("__")]
if SANITIZED:
    skip("only the module's record is exported", "a sanitized build adds its own")
else:
    is_(names, ["resthooks_module"], "only the module's record is exported")

makefile = open(os.path.join(SOURCE, "Makefile.am"), encoding="utf-8").read().split()
sources = glob.glob("modules/**/*.[ch]", root_dir=SOURCE, recursive=True) + ["mod_resthooks.c"]
sources += glob.glob("tools/*", root_dir=SOURCE)
packaging = subprocess.run(["git", "ls-files", "debian"], capture_output=True, text=True, check=False,
                           cwd=SOURCE).stdout.split()
tests = [path[:-2] for path in glob.glob("t/unit/test_*.c", root_dir=SOURCE)]
tests += [path[:-2] for path in glob.glob("t/fuzz/fuzz_*.c", root_dir=SOURCE)]
is_([path for path in sources + tests + packaging if path not in makefile], [],
    "Makefile.am names every source, every test and every packaging file")

httpd = Httpd(start=False)
accepted, said = httpd.check_config()
ok(accepted, "httpd -t accepts the configuration") or diag(said)
httpd.start()
api = httpd.api()
answer = api.get("/subscriptions")
is_((answer.status, answer.json), (200, []), "the handler responds: there are no subscriptions yet")
is_(answer.type, "application/json", "in JSON")
answer = httpd.api(tenant=None).get("/subscriptions")
is_((answer.status, answer.type), (403, "application/problem+json"), "without a tenant: 403")
is_(httpd.request("GET", "/elsewhere").status, 404,
    "outside the Location the module does not respond")
ok(httpd.graceful(), "a graceful restart works")
is_(wait_until(lambda: api.get("/subscriptions").status == 200), True,
    "the new generation responds")
done_testing()
