#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What settings of a virtual host do: which answers mean Gone, when a failing subscription is
disabled, whether the tables are made."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
TYPE = 'RestHooksEventType some.thing "a thing"\n'
httpd = Httpd(retry="1s 1s 1s 1s 1s 1s 1s 1s 1s 1s",
              extra=TYPE + "RestHooksGone 418 404\nRestHooksDisableAfter 2s")
api, app = httpd.api(), httpd.api(role="app")


def state(subscription):
    return api.get("/subscriptions/" + subscription["id"]).json


teapot = api.subscribe(receiver.url + "/status/418", ["some.thing"])
gone = api.subscribe(receiver.url + "/status/410", ["some.thing"])
failing = api.subscribe(receiver.url + "/status/500", ["some.thing"])
fine = api.subscribe(receiver.url + "/ok", ["some.thing"])
app.post("/events", {"type": "some.thing", "data": 1})
ok(wait_until(lambda: state(teapot)["state"] == "gone"), "RestHooksGone 418: 418 unsubscribes")
like(state(teapot)["state_reason"], "418", "and says why")
ok(wait_until(lambda: state(gone)["stats"]["last_status_code"] == 410), "410 comes")
is_(state(gone)["state"], "active", "which then is a failed attempt like others")
ok(wait_until(lambda: state(failing)["state"] == "disabled", 60),
   "RestHooksDisableAfter: nothing but failures for so long disables")
like(state(failing)["state_reason"], "fail", "and says why")
is_(state(fine)["state"], "active", "a target that answers stays")
before = len(receiver.received("/status/500"))
app.post("/events", {"type": "some.thing", "data": 2})
receiver.wait_for(2, "/ok")
is_(len(receiver.received("/status/500")), before, "a disabled one receives nothing")
answer = api.patch("/subscriptions/" + failing["id"], {"active": True})
is_((answer.json["state"], answer.json["state_reason"]), ("active", None), "it can be revived")
app.post("/events", {"type": "some.thing", "data": 3})
ok(wait_until(lambda: len(receiver.received("/status/500")) > before), "and is tried again")

# Time without events does not count as failure, and a delivery with attempts left is retried.

answers = {"A": [400] * 5, "B": [503, 200], "C": [400] * 5, "D": [400] * 5}


def next_answer(received, number):
    return (answers[json.loads(received.body)[0]].pop(0),)


receiver.on("/patient", next_answer)
patient = Httpd(retry="300ms 300ms 300ms 300ms", extra=TYPE + "RestHooksDisableAfter 40s")
api, app = patient.api(), patient.api(role="app")
subscription = api.subscribe(receiver.url + "/patient", ["some.thing"])


def published(name):
    """The state of the delivery of an event that is published now, as a function."""
    event = app.post("/events", {"type": "some.thing", "data": name}).json["ids"][0]
    return lambda: api.get("/events/" + event).json["deliveries"][0]


def let_time_pass():
    """As if all that happened so far had happened 45 s earlier."""
    stat = ("resthooks." if DB == "pgsql" else "resthooks_") + "subscription_stat"
    patient.database.sql(f"UPDATE {stat} SET failing_since = failing_since - 45000")


first = published("A")
ok(wait_until(lambda: first()["state"] == "failed"), "an event is refused to its end")
let_time_pass()
second = published("B")
ok(wait_until(lambda: second()["state"] != "pending"),
   "after a silence longer than RestHooksDisableAfter another one comes")
is_((second()["state"], second()["attempt_count"]), ("delivered", 2), "which is tried again")
is_(state(subscription)["state"], "active", "and its subscription stays active")
third = published("C")
ok(wait_until(lambda: third()["state"] == "failed"), "a third one is refused to its end")
is_(state(subscription)["state"], "active", "which is too short a time")
let_time_pass()
fourth = published("D")
ok(wait_until(lambda: state(subscription)["state"] == "disabled", 120),
   "a fourth one, refused to its end, is the evidence that disables")
is_(fourth()["attempt_count"], 5, "after all of its attempts")
patient.stop()
api, app = httpd.api(), httpd.api(role="app")

# The tables.
never = Httpd(start=False, config="RestHooksSchema check", extra=TYPE, expect=[r"RH0707", r"AH00020"])
never.start(wait=False)
is_(never.wait_end() != 0, True, "RestHooksSchema check: httpd does not start without tables")
like(never.log(), r"RH0707.*tables do not exist", "and says why")
schema = "resthooks." if DB == "pgsql" else "resthooks_"
httpd.stop()
kept = Httpd(config="RestHooksSchema check", extra=TYPE, database=httpd.database)
is_(kept.api().get("/subscriptions").status, 200, "with tables it does")
kept.stop()
httpd.database.sql(f"UPDATE {schema}schema_version SET version = 999")
newer = Httpd(start=False, extra=TYPE, database=httpd.database, expect=[r"RH0707", r"AH00020"])
newer.start(wait=False)
is_(newer.wait_end() != 0, True, "nor with tables of a newer version")
like(newer.log(), r"RH0707.*999", "and says so")
done_testing()
