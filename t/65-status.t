#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The module's part of mod_status's page, and httpd without mod_status."""

import html.parser
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
import httpd as harness  # noqa: E402

STATUS = '<Location "/server-status">\nSetHandler server-status\n</Location>\n'
TYPES = 'RestHooksEventType a.made "one"\n'
receiver = Receiver()
one = Vhost(rules="", extra=TYPES, retry="1s")
two = Vhost(rules="", extra=TYPES, name="two")
server = Httpd(STATUS, vhosts=[one, two])
api, app = one.api(), one.api(role="app")


def auto(host=one):
    """Return the lines of one host, by key."""
    text = request("GET", one.url + "/server-status?auto").text
    found = dict(line.split(": ", 1) for line in text.splitlines() if line.startswith("RestHooks"))
    number = re.search(rf"^RestHooks\[(\d)\]Host: localhost:{host.port}$", text, re.M)[1]
    return {key.removeprefix(f"RestHooks[{number}]"): value for key, value in found.items()
            if key == "RestHooksProcesses" or key.startswith(f"RestHooks[{number}]")}


good = api.subscribe(receiver.url + "/ok", ["a.made"])
bad = api.subscribe(receiver.url + "/status/500", ["a.made"])
app.post("/events", [{"type": "a.made", "data": {"n": n}} for n in range(3)])
wait_until(lambda: auto()["Failed"] == "3")
shown = wait_until(lambda: auto().get("Pending") == "0" and auto())
ok(int(shown.pop("RestHooksProcesses")) >= 1, "?auto shows how many processes count")
is_(shown, {"Host": f"localhost:{one.port}", "Events": "3", "EventsLost": "0", "Attempts": "9",
            "Delivered": "3", "Failed": "3", "Queued": "0", "InFlight": "0", "BreakersOpen": "0",
            "Pending": "0", "DatabaseUp": "1"}, "?auto shows what happened")
is_(auto(two)["Events"], "0", "the other host has its own numbers")


class Table(html.parser.HTMLParser):
    """Return the cells of the table, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows, self._cell, self._unclosed = [], False, []
        self.feed(text[text.index("<h1>mod_resthooks"):])

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th")

    def handle_endtag(self, tag):
        self._cell = False

    def handle_data(self, data):
        if self._cell and self.rows:
            self.rows[-1].append(data)


answer = request("GET", one.url + "/server-status")
is_((answer.status, answer.type), (200, "text/html"), "the page is there")
rows = Table(answer.text).rows
row = [f"localhost:{one.port}", "3", "0", "9", "3", "3", "0", "0", "0", "0", "1"]
is_([r for r in rows if r[0] == row[0]], [row], "it has a row for the host")
is_((len(rows), len(rows[0])), (3, 11), "it has a row for the other host, and a head")
text = request("GET", one.url + "/server-status?notable").text
ok("]Events: 3\n" in text and "<td" not in text[text.index("<h1>mod_resthooks"):],
   "without tables in ?notable")
server.finish()

harness.MODULES.remove("status")
alone = Httpd(rules="", extra=TYPES)
is_(alone.api(role="app").post("/events", {"type": "a.made", "data": 1}).status, 202,
    "without mod_status the module works")
done_testing()
