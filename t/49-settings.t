#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What settings of a virtual host do: which responses mean Gone, when a failing subscription is
disabled, and whether the tables are created."""

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
like(state(teapot)["state_reason"], "418", "the subscription says why")
ok(wait_until(lambda: state(gone)["stats"]["last_status_code"] == 410), "410 comes")
is_(state(gone)["state"], "active", "elsewhere it is a failed attempt like others")
ok(wait_until(lambda: state(failing)["state"] == "disabled", 60),
   "RestHooksDisableAfter: nothing but failures for that time disables")
like(state(failing)["state_reason"], "fail", "the subscription says why")
is_(state(fine)["state"], "active", "a target that responds stays active")
before = len(receiver.received("/status/500"))
app.post("/events", {"type": "some.thing", "data": 2})
receiver.wait_for(2, "/ok")
is_(len(receiver.received("/status/500")), before, "a disabled subscription receives nothing")
answer = api.patch("/subscriptions/" + failing["id"], {"active": True})
is_((answer.json["state"], answer.json["state_reason"]), ("active", None), "it can be revived")
app.post("/events", {"type": "some.thing", "data": 3})
ok(wait_until(lambda: len(receiver.received("/status/500")) > before), "it is then tried again")

# A time without events does not count as failure, and a delivery with attempts left is retried.

answers = {"A": [400] * 5, "B": [503, 200], "C": [400] * 5, "D": [400] * 5}


def next_answer(received, number):
    return (answers[json.loads(received.body)[0]].pop(0),)


receiver.on("/patient", next_answer)
patient = Httpd(retry="300ms 300ms 300ms 300ms", extra=TYPE + "RestHooksDisableAfter 40s")
api, app = patient.api(), patient.api(role="app")
subscription = api.subscribe(receiver.url + "/patient", ["some.thing"])


def published(name):
    """Publish an event; return a function that returns the state of its delivery."""
    event = app.post("/events", {"type": "some.thing", "data": name}).json["ids"][0]
    return lambda: api.get("/events/" + event).json["deliveries"][0]


def let_time_pass():
    """Make everything that happened so far appear to have happened 45 s earlier."""
    stat = ("resthooks." if DB == "pgsql" else "resthooks_") + "subscription_stat"
    patient.database.sql(f"UPDATE {stat} SET failing_since = failing_since - 45000")


first = published("A")
ok(wait_until(lambda: first()["state"] == "failed"), "all attempts of an event are refused")
let_time_pass()
second = published("B")
ok(wait_until(lambda: second()["state"] != "pending"),
   "after a silence longer than RestHooksDisableAfter another one comes")
is_((second()["state"], second()["attempt_count"]), ("delivered", 2), "the next event is attempted")
is_(state(subscription)["state"], "active", "its subscription stays active")
third = published("C")
ok(wait_until(lambda: third()["state"] == "failed"), "all attempts of a third event are refused")
is_(state(subscription)["state"], "active", "that time was too short")
let_time_pass()
fourth = published("D")
ok(wait_until(lambda: state(subscription)["state"] == "disabled", 120),
   "a fourth event whose attempts are all refused disables the subscription")
is_(fourth()["attempt_count"], 5, "it had all of its attempts")
patient.stop()
api, app = httpd.api(), httpd.api(role="app")

# The tables
never = Httpd(start=False, config="RestHooksSchema check", extra=TYPE, expect=[r"RH0707", r"AH00020"])
never.start(wait=False)
is_(never.wait_end() != 0, True, "RestHooksSchema check: httpd does not start without tables")
like(never.log(), r"RH0707.*tables do not exist", "the log says why")
schema = "resthooks." if DB == "pgsql" else "resthooks_"
httpd.stop()
kept = Httpd(config="RestHooksSchema check", extra=TYPE, database=httpd.database)
is_(kept.api().get("/subscriptions").status, 200, "with tables it starts")
kept.stop()
httpd.database.sql(f"UPDATE {schema}schema_version SET version = 999")
newer = Httpd(start=False, extra=TYPE, database=httpd.database, expect=[r"RH0707", r"AH00020"])
newer.start(wait=False)
is_(newer.wait_end() != 0, True, "it does not start with tables of a newer version")
like(newer.log(), r"RH0707.*999", "the log says so")
done_testing()
