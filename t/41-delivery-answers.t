#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What happens after each kind of response from a target."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

GOOD = ["/ok", "/status/201", "/status/204", "/chunked", "/huge?mb=5", "/flood", "/continue",
        "/close", "/http10", "/noreason"]
BAD = {"/status/404": 404, "/status/500": 500, "/redirect": 302, "/slow?s=30": None,
       "/drip?s=0.4": None, "/never": None, "/headerbomb": None, "/garbage": None,
       "/conflict": None, "/eof": None, "/reset": None, "/halfclose": None}

receiver = Receiver()
httpd = Httpd(retry="1s", extra="""
    RestHooksEventType good.news "all is well"
    RestHooksEventType bad.news "something is wrong"
    RestHooksEventType some.thing "for one target"
    RestHooksTimeout 10s
    RestHooksConnectTimeout 5s
""")
api, app = httpd.api(), httpd.api(role="app")
finished = ("delivered", "failed", "cancelled")


def publish(kind, data, **fields):
    answer = app.post("/events", {"type": kind, "data": data, **fields})
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["id"]


def settled(subscription, count=1, timeout=120):
    """Return the subscription's deliveries, once at least that many exist and all are finished."""
    def look():
        rows = api.deliveries(subscription["id"])
        return len(rows) >= count and all(r["state"] in finished for r in rows) and rows
    return wait_until(look, timeout) or api.deliveries(subscription["id"])


def detail(row):
    return api.get("/deliveries/" + row["id"]).json


good = {path: api.subscribe(receiver.url + path, ["good.news"]) for path in GOOD}
bad = {path: api.subscribe(receiver.url + path, ["bad.news"]) for path in BAD}
closed = api.subscribe(f"http://127.0.0.1:{free_port()}/", ["bad.news"])
unknown = api.subscribe("http://nowhere.invalid/", ["bad.news"])
publish("good.news", {"a": 1})
publish("bad.news", {"b": 2})

for path, subscription in good.items():
    rows = settled(subscription)
    is_([(r["state"], r["attempt_count"]) for r in rows], [("delivered", 1)],
        f"{path}: delivered at once")
    ok(len(detail(rows[0])["attempts"][0]["answer"] or "") <= 16384, f"{path}: at most 16 KiB are kept")
is_(detail(settled(good["/chunked"])[0])["attempts"][0]["answer"], "hello world",
    "a chunked response is decoded")
for path, code in BAD.items():
    rows = settled(bad[path])
    is_([(r["state"], r["attempt_count"], r["last_status_code"]) for r in rows],
        [("failed", 2, code)], f"{path}: tried again, then failed")
    attempt = detail(rows[0])["attempts"][0]
    if code is None:
        ok(attempt["error"], f"{path}: an error says why ({attempt['error']})")
for what, subscription in (("a closed port", closed), ("a host name that does not exist", unknown)):
    rows = settled(subscription)
    is_([(r["state"], r["attempt_count"]) for r in rows], [("failed", 2)], f"{what}: failed")
is_(len(receiver.received("/redirect")), 2, "a redirect is not followed")
is_(api.get("/subscriptions/" + bad["/eof"]["id"]).json["stats"]["failed"], 1,
    "the subscription's statistics count it")

# Retries
subscription = api.subscribe(receiver.url + "/sequence/500,200", ["some.thing"])
publish("some.thing", {"n": 1}, key="k")
got = receiver.wait_for(2, "/sequence/500,200")
rows = settled(subscription)
is_([(r["state"], r["attempt_count"], r["key"]) for r in rows], [("delivered", 2, "k")],
    "the second attempt delivers")
is_(got[0].headers.get("webhook-id"), got[1].headers.get("webhook-id"),
    "it has the same webhook-id")
ok(0.7 <= got[1].time - got[0].time <= 60, "it comes after the schedule's wait")
ok(all(verify(subscription["secret"], r.headers, r.body) for r in got), "each attempt is signed")
is_([(a["number"], a["status_code"]) for a in detail(rows[0])["attempts"]], [(1, 500), (2, 200)],
    "both attempts are in the log")
answer = api.post(f"/deliveries/{rows[0]['id']}/redeliver")
is_(answer.status, 202, "a delivery is redelivered on request")
is_(len(receiver.wait_for(3, "/sequence/500,200")), 3, "it arrives again")
api.delete("/subscriptions/" + subscription["id"])

# Gone
for code in (410, 409):
    subscription = api.subscribe(receiver.url + f"/status/{code}", ["some.thing"])
    publish("some.thing", {"n": code})
    rows = settled(subscription)
    state = wait_until(lambda: api.get("/subscriptions/" + subscription["id"]).json["state"] ==
                       "gone") and "gone"
    is_(state, "gone", f"{code}: the subscription is gone")
    publish("some.thing", {"n": code + 1000})
    ok(receiver.quiet(1, f"/status/{code}"), f"{code}: nothing more is sent")
    answer = api.patch("/subscriptions/" + subscription["id"], {"active": True})
    is_((answer.status, answer.json.get("state")), (200, "active"), f"{code}: it can be revived")
    api.delete("/subscriptions/" + subscription["id"])

# Gone, while another delivery waits for an hour: it must not have to wait that long.
patient = Httpd(retry="1h", extra='RestHooksEventType some.thing "something"')
two_answers = [500, 410]
receiver.on("/leaving", lambda received, number: (two_answers.pop(0),))
subscription = patient.api().subscribe(receiver.url + "/leaving?a=b", ["some.thing"],
                                       headers={"Authorization": "Bearer abc", "X-Plain": "yes"})
events = patient.api(role="app")
for number in range(2):
    events.post("/events", {"type": "some.thing", "data": {"n": number}})
    ok(wait_until(lambda: [d["attempt_count"] for d in
                           patient.api().deliveries(subscription["id"])].count(1) == number + 1),
       f"attempt {number + 1} ended")
ok(wait_until(lambda: sorted(d["state"] for d in patient.api().deliveries(subscription["id"])) ==
              ["cancelled", "failed"]), "Gone cancels a delivery that waits for an hour at once")

# The log shows what was sent at that time.
oldest = patient.api().deliveries(subscription["id"])[-1]
sent = patient.api().get("/deliveries/" + oldest["id"]).json["attempts"][0]["sent"]
is_((sent["url"], sent["format"], sent["address"]),
    (receiver.url + "/leaving?a=b", "array", f"127.0.0.1:{receiver.port}"),
    "an attempt's record has its target and format")
first = receiver.received("/leaving")[0]
is_({name: sent["headers"].get(name) for name in ("webhook-id", "webhook-signature", "X-Plain",
                                                  "X-Hook-Hops", "Authorization")},
    {**{name: first.headers[name] for name in ("webhook-id", "webhook-signature", "X-Plain",
                                               "X-Hook-Hops")}, "Authorization": "********"},
    "it has the header as it arrived, except for a secret's value")
ok(all(sent["times"][name] >= 0 for name in ("connect_ms", "first_byte_ms", "total_ms")),
   "it has the durations of its parts")
patient.stop()

# Retry-After, for the whole subscription
receiver.on("/busy", lambda received, number:
            (429, [("Retry-After", "3")], b"") if number == 1 else (200,))
subscription = api.subscribe(receiver.url + "/busy", ["some.thing"])
publish("some.thing", {"n": 1})
receiver.wait_for(1, "/busy")
wait_until(lambda: api.deliveries(subscription["id"])[0]["attempt_count"] == 1)
publish("some.thing", {"n": 2})
got = receiver.wait_for(3, "/busy")
is_(len(got), 3, "429 with Retry-After: both events arrive in the end")
ok(len(got) == 3 and all(r.time - got[0].time >= 2.9 for r in got[1:]),
   "429 with Retry-After: the whole subscription waits that long")
is_([r["state"] for r in settled(subscription, 2)], ["delivered"] * 2, "both are delivered")
api.delete("/subscriptions/" + subscription["id"])
httpd.expect(r"nowhere\.invalid")
done_testing()
