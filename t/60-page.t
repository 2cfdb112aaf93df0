#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The page in a real browser: t/page/story.mjs tells the story.

$RH_SCREENSHOTS names a folder for the pictures of each view; without it they go with the test.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if MPM != "event" or SANITIZED:
    skip_all("the page is the same there")
modules = os.environ.get("NODE_PATH", "-")
chromium = shutil.which("chromium")
for what, there in (("chromium", chromium), ("node", shutil.which("node")),
                    ("playwright-core", os.path.isdir(modules + "/playwright-core")),
                    ("axe-core", os.path.isdir(modules + "/axe-core"))):
    if not there:
        skip_all(what + " is not installed")

receiver = Receiver()
receiver.on("/story", lambda received, number: (500, [], b"Traceback: the first one")
            if number <= 2 else (200,))
receiver.on("/bad", lambda received, number: (500, [("Content-Type", "text/plain")],
                                              b"Traceback: the ERP is down for maintenance"))
receiver.on("/gone", lambda received, number: (410,))
location = """SetHandler resthooks
    RestHooksPublisher "%{req:X-Role} == 'app'"
    Require expr "%{HTTP_COOKIE} =~ /session=1/"
"""
httpd = Httpd(retry="1s", location=location, expect=[r"AH01630: client denied"],
              extra='RestHooksEventType lonely.event "concerns nobody"\n'
                    'RestHooksEventType employee.created "An employee was added"')
world = {"url": httpd.url, "chromium": chromium, "story": receiver.url + "/story",
         "good": receiver.url + "/in", "bad": receiver.url + "/bad",
         "gone": receiver.url + "/gone", "folder": httpd.path("db"),
         "screenshots": os.environ.get("RH_SCREENSHOTS") or httpd.path("screenshots")}
node = subprocess.Popen(["node", os.path.join(SOURCE, "t", "page", "story.mjs")], text=True,
                        env={**os.environ, "RH_PAGE": json.dumps(world), "HOME": httpd.root},
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
at_end(node.kill)
for line in node.stdout:
    try:
        check = json.loads(line)
        ok(check["ok"], check["name"]) or diag(check.get("why"))
    except ValueError:
        diag(line.rstrip())
is_(node.wait(60), 0, "the story is told to its end")
done_testing()
