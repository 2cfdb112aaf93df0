#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: nodejs
"""Patterns match the same types in SQL and in the page's script as in C:
t/unit/matching_cases.inc."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if MPM != "event" or SANITIZED:
    skip_all("matching does not depend on the distribution")

with open(os.path.join(SOURCE, "t", "unit", "matching_cases.inc"), encoding="utf-8") as file:
    CASES = [(pattern, kind, covers == "true") for pattern, kind, covers in
             re.findall(r'^\{"([^"]+)", "([^"]+)", (true|false)\},$', file.read(), re.M)]
ok(len(CASES) > 20, f"there are {len(CASES)} cases")


def wrong(judged):
    """Return the cases whose results differ from the table's."""
    return [case for case, covers in zip(CASES, judged, strict=True) if case[2] != covers]


if shutil.which("node"):
    script = os.path.join(SOURCE, "htdocs", "patterns.js")
    calls = json.dumps([[pattern, kind] for pattern, kind, _ in CASES])
    # Node.js 18 treats a file as a module only if its name ends in .mjs.
    with open(script, encoding="utf-8") as file:
        source = "\n".join(line for line in file.read().split("\n")
                           if not line.startswith("import "))
    done = subprocess.run(
        ["node", "--input-type=module"], capture_output=True, text=True, check=False,
        input=f"{source}\nconsole.log(JSON.stringify({calls}.map(([p, t]) => covers([p], t))));")
    is_(done.returncode, 0, "the page's script runs") or diag(done.stderr)
    is_(wrong(json.loads(done.stdout or "[]")), [], "the page agrees on every case")
else:
    skip("the page agrees on every case", "node is not installed")

if DB == "pgsql":
    database = Httpd().database
    values = ", ".join(f"({n}, '{pattern}', '{kind}')" for n, (pattern, kind, _) in enumerate(CASES))
    rows = database.sql("SELECT c.pattern = ANY (resthooks.patterns(c.type)) "
                        f"FROM (VALUES {values}) AS c(n, pattern, type) ORDER BY c.n")
    is_(wrong([row[0] == "t" for row in rows]), [],
        "resthooks.patterns(), by which resthooks.publish() finds subscriptions, agrees")
done_testing()
