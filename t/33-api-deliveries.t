#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Deliveries through the API: the log with every attempt, redelivery, test deliveries, replay."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, retry="1s", start=False,
              extra='RestHooksEventType invoice.paid "was paid" sample.json')
with open(httpd.path("sample.json"), "w", encoding="utf-8") as file:
    file.write(' {"id": "inv-1",  "amount": 12.50}\n')
httpd.start()
api, app = httpd.api(), httpd.api(role="app")
answers = {"/in": (200, {}, b"fine")}
for path in ("/in", "/other"):
    receiver.on(path, lambda received, number, path=path: answers.get(path, (200,)))
subscription = api.subscribe(receiver.url + "/in", ["*"])
sub = "/subscriptions/" + subscription["id"]


def publish(n, **more):
    return app.post("/events", {"type": "invoice.paid", "data": {"id": str(n)}, **more}).json["id"]


def settled(count, query=""):
    """Wait until a number of deliveries are settled; return all of them."""
    wait_until(lambda: len([d for d in api.deliveries(subscription["id"], "?limit=500" + query)
                            if d["state"] != "pending"]) >= count)
    return api.deliveries(subscription["id"], "?limit=500" + query)


def calm():
    """Return true once nothing is pending: a response that a target sent may not be settled yet."""
    return wait_until(lambda: not api.deliveries(subscription["id"], "?state=pending"))


event = publish(1)
row = settled(1)[0]
is_({k: row[k] for k in ("event_id", "subscription_id", "type", "key", "state", "target_url",
                         "attempt_count", "last_status_code", "next_attempt_at")},
    {"event_id": event, "subscription_id": subscription["id"], "type": "invoice.paid", "key": "1",
     "state": "delivered", "target_url": receiver.url + "/in", "attempt_count": 1,
     "last_status_code": 200, "next_attempt_at": None}, "a delivery has all its members")
one = api.get("/deliveries/" + row["id"]).json
is_(one["payload"], [{"id": "1"}], "read alone, it shows the payload as it was sent")
attempt = one["attempts"][0]
is_((attempt["sent"]["url"], attempt["sent"]["headers"]["webhook-id"]), (one["target_url"], one["event_id"]),
    "an attempt shows what was sent at that time")
api.patch("/subscriptions/" + one["subscription_id"], {"target_url": receiver.url + "/elsewhere"})
moved = api.get("/deliveries/" + one["id"]).json
is_((moved["target_url"], moved["attempts"][0]["sent"]), (one["target_url"], attempt["sent"]),
    "this does not change with the subscription's target")
api.patch("/subscriptions/" + one["subscription_id"], {"target_url": one["target_url"]})
is_((attempt["number"], attempt["status_code"], attempt["answer"], attempt["error"]),
    (1, 200, "fine", None), "each attempt has its number, status code and response")
ok(attempt["ms"] >= 0 and attempt["time"].endswith("Z"), "each attempt has its time and duration")
ok("Content-Length" in attempt["headers"] or "content-length" in
   [name.lower() for name in attempt["headers"]], "each attempt has the response's header fields")
stats = api.get(sub).json["stats"]
is_((stats["delivered"], stats["failed"], stats["pending"], stats["last_status_code"]),
    (1, 0, 0, 200), "the subscription's statistics count it")
ok(stats["last_attempt_at"], "they have its time")

# A failing delivery: two attempts by the schedule, then failed, then redelivered by a person.
answers["/in"] = (500, {}, b"broken " * 5000)
publish(2)
failed = settled(2)[0]
is_((failed["state"], failed["attempt_count"], failed["last_status_code"]), ("failed", 2, 500),
    "a delivery has failed once its schedule is used up")
one = api.get("/deliveries/" + failed["id"]).json
is_([a["number"] for a in one["attempts"]], [1, 2], "it has both attempts, in order")
is_(len(one["attempts"][0]["answer"]), 16384, "an attempt has the first 16 KiB of the response")
answers["/in"] = (200,)
receiver.clear()
answer = api.post("/deliveries/" + failed["id"] + "/redeliver")
is_((answer.status, answer.json["id"]), (202, failed["id"]), "redeliver: 202")
ok(answer.headers["Location"].endswith("/deliveries/" + failed["id"]),
   "a redelivery's Location is the delivery")
got = receiver.wait_for(1, "/in")
is_(got[0].headers["webhook-id"], failed["event_id"], "a redelivery has the same id")
ok(wait_until(lambda: api.get("/deliveries/" + failed["id"]).json["state"] == "delivered"),
   "and delivered")
is_(len(api.get("/deliveries/" + failed["id"]).json["attempts"]), 3,
    "a redelivery is a third attempt")
is_(api.post("/deliveries/" + failed["id"] + "/redeliver", {"x": 1}).status, 422,
    "redelivering takes no fields")
delivered = api.post("/deliveries/" + failed["id"] + "/redeliver")
is_(delivered.status, 202, "a delivered delivery can be redelivered too")
receiver.wait_for(2, "/in")

# Test deliveries
receiver.clear()
answer = api.post(sub + "/test", {"type": "invoice.paid"})
is_((answer.status, answer.json["type"], answer.json["state"] in ("pending", "delivered")),
    (202, "invoice.paid", True), "a test: 202 with its delivery")
got = receiver.wait_for(1, "/in")[0]
is_(got.body, b'[{"id": "inv-1",  "amount": 12.50}]', "the sample arrives")
sample = api.get("/event-types/invoice.paid/sample")
is_((sample.status, sample.body), (200, got.body), "it is what the API shows as the sample")
ok(verify(subscription["secret"], got.headers, got.body), "signed")
receiver.clear()
answer = api.call("POST", sub + "/test")
is_((answer.status, answer.json["type"]), (202, "employee.created"),
    "without a type it is the first of the catalogue")
ok(receiver.wait_for(1, "/in"), "and arrives")
is_([t["type"] for t in api.get("/event-types").json],
    ["employee.created", "employee.deleted", "employee.updated", "invoice.paid"], "the catalogue")
is_({k: v for k, v in api.get("/event-types/invoice.paid").json.items() if k not in ("sample_url", "schema_url")},
    {"type": "invoice.paid", "description": "was paid", "captured": False},
    "its data is that type's")
is_(api.get("/event-types/no.such").status, 404, "a test with an unknown type is refused")
is_(api.get("/event-types/no.such/sample").status, 404, "an unknown type has no sample")
for name, mime, first in (("array", "application/json", "["), ("envelope", "application/json", "{"),
                          ("cloudevents", "application/cloudevents+json", "{"),
                          ("skinny", "application/json", "[")):
    sample = api.get("/event-types/invoice.paid/sample?format=" + name)
    is_((sample.status, sample.type, sample.body[:1].decode()), (200, mime, first),
        f"the sample can be had in the format {name}")
envelope = api.get("/event-types/invoice.paid/sample?format=envelope").json
is_((envelope["type"], envelope["data"]["id"]), ("invoice.paid", "inv-1"),
    "it is what would be sent")
is_(api.get("/event-types/invoice.paid/sample?format=xml").status, 400,
    "a sample in an unknown format is refused")

# Filters and pages
ok(calm(), "everything is settled")
everything = api.deliveries(subscription["id"], "?limit=500")
is_([d["id"] for d in everything], sorted((d["id"] for d in everything), reverse=True),
    "deliveries are listed newest first")
page, ids = api.get(sub + "/deliveries?limit=2"), []
while True:
    ids += [d["id"] for d in page.json]
    if not page.next:
        break
    page = api.get(page.next)
is_(ids, [d["id"] for d in everything], "pages show each delivery once")
is_(api.get("/deliveries?limit=500").json, everything,
    "the list of all of the tenant's deliveries has the same")
is_({d["type"] for d in api.deliveries(subscription["id"], "?event=employee.created")},
    {"employee.created"}, "?event=")
is_(api.deliveries(subscription["id"], "?state=failed"), [], "?state=")
is_(api.deliveries(subscription["id"], "?from=2099-01-01T00:00:00Z"), [], "?from=")
is_(len(api.deliveries(subscription["id"], "?to=2099-01-01T00:00:00Z&limit=500")),
    len(everything), "?to=")

# Replay
started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 600)) + "Z"
answers["/in"] = (503,)
for n in range(3):
    publish(10 + n)
rows = settled(len(everything) + 3)
is_([d["state"] for d in rows[:3]], ["failed"] * 3, "three fail")
answers["/in"] = (200,)
receiver.clear()
is_(api.queued(api.post(sub + "/replay", {"from": "2099-01-01T00:00:00Z"})), 0,
    "a replay of a time without events sends nothing")
answer = api.post(sub + "/replay", {"from": started})
is_((answer.status, api.queued(answer)), (202, 3), "a replay can be of failed deliveries")
got = receiver.wait_for(3, "/in")
is_(sorted(json.loads(r.body)[0]["id"] for r in got), ["10", "11", "12"], "sends it")
ok(calm() and not api.deliveries(subscription["id"], "?state=failed"),
   "the replayed delivery arrives")
api.patch(sub, {"active": False})
is_(api.post(sub + "/replay", {"from": started}).status, 409, "a paused subscription has no replay")
is_(api.post(sub + "/test").status, 409, "no test")
is_(api.post("/deliveries/" + failed["id"] + "/redeliver").status, 409, "no redelivery")
publish("missed")
api.patch(sub, {"active": True})
receiver.clear()
total = len([e for e in api.get("/events?limit=500").json if e["source"] != "test"])
answer = api.post(sub + "/replay", {"from": started, "state": "any"})
queued = api.queued(answer)
is_(queued >= total, True, "a replay of everything includes what was missed while paused")
got = receiver.wait_for(queued, "/in")
ok("missed" in [json.loads(r.body)[0]["id"] for r in got], "the missed event is sent")

# The payload shown is the one that was sent, even if the subscription changes later.
for kind in ("envelope", "skinny"):
    changing = api.subscribe(receiver.url + "/" + kind, ["invoice.paid"], format=kind)
    event = publish(kind)
    sent = json.loads(receiver.wait_for(1, "/" + kind)[0].body)
    row = wait_until(lambda changing=changing: [
        d for d in api.deliveries(changing["id"], "?state=delivered")])[0]
    is_(api.get("/deliveries/" + row["id"]).json["payload"], sent, f"{kind}: what was sent")
    api.patch("/subscriptions/" + changing["id"], {"format": "cloudevents"})
    is_(api.get("/deliveries/" + row["id"]).json["payload"], sent, "also when the format changes")
    api.delete("/subscriptions/" + changing["id"])
    is_(api.get("/deliveries/" + row["id"]).json["payload"], sent, "also after unsubscribing")
is_(api.get("/deliveries/" + "0" * 36).status, 404, "an unknown delivery is not found")
is_(api.post("/deliveries/" + subscription["id"] + "/redeliver").status, 404,
    "an unknown delivery can't be redelivered")
done_testing()
