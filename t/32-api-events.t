#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Publishing through the API, and the log of events."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, extra='RestHooksEventType invoice.paid "was paid"\n'
                                     "RestHooksMaxData 10000")
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/in", ["*"])


def bodies():
    return [r.body.decode() for r in receiver.received("/in")]


answer = api.post("/events", {"type": "invoice.paid", "data": {}})
is_((answer.status, answer.type), (403, "application/problem+json"),
    "a plain user must not publish")
data = '{"b" : 1.50, "a":"\\u00e9 \\u0000 \\ud83d\\ude00 ü",  "n":12345678901234567890 }'
answer = app.post("/events", '{"type":"invoice.paid","data":%s,"key":"k-1"}' % data)
is_(answer.status, 202, "a publisher does")
event_id = answer.json["id"]
is_(answer.json["ids"], [event_id], "a publisher gets the id")
receiver.wait_for(1, "/in")
is_(bodies(), [f"[{data}]"], "the data arrives byte for byte")
is_(receiver.received("/in")[0].headers["webhook-id"], event_id, "the delivery has that id")
row = api.get("/events/" + event_id)
is_((row.status, row.json["type"], row.json["key"], row.json["source"]),
    (200, "invoice.paid", "k-1", "publish"), "the log has the event")
ok(data in row.text, "the log has its data byte for byte")
is_([d["subscription_id"] for d in row.json["deliveries"]], [subscription["id"]],
    "the log has its delivery")

# The earlier state
before = '{"total": 12345678901234567890, "note":null}'
answer = app.post("/events", '{"type":"invoice.paid","data":{"total":2,"note":"n"},"previous":%s}' % before)
is_(answer.status, 202, "an event can have the earlier state")
receiver.wait_for(2, "/in")
is_(receiver.received("/in")[1].headers["X-Hook-Changed"], "/total,/note",
    "targets receive what changed")
row = api.get("/events/" + answer.json["id"])
ok('"previous":' + before in row.text,
   "the log has the earlier state, byte for byte") or diag(row.text)
for wrong in ("[1]", '"x"', "1"):
    answer = app.post("/events", '{"type":"invoice.paid","data":1,"previous":%s}' % wrong)
    is_((answer.status, answer.json["errors"][0]["field"]), (422, "previous"), f"{wrong} is not a patch")

# Idempotency
first = app.post("/events", {"type": "invoice.paid", "data": {"n": 1}, "id": "once"}).json["id"]
again = app.post("/events", {"type": "invoice.paid", "data": {"n": 2}, "id": "once"})
is_((again.status, again.json["id"]), (202, first),
    "a known idempotency key gives the first event's id")
other = httpd.api("other", "app").post("/events", {"type": "invoice.paid", "data": 1,
                                                   "id": "once"})
ok(other.json["id"] != first, "the same key of another tenant is a new event")
batch = app.post("/events", [{"type": "invoice.paid", "data": {"n": n}, "id": f"b{n % 3}"}
                             for n in range(5)])
is_(batch.status, 202, "a batch")
ids = batch.json["ids"]
is_((len(ids), ids[3] == ids[0], ids[4] == ids[1], len(set(ids))), (5, True, True, 3),
    "a batch gives ids in order, and the first one's where a key repeats")
results = []
threads = [threading.Thread(target=lambda: results.append(app.post(
    "/events", {"type": "invoice.paid", "data": {"race": 1}, "id": "race"}).json["id"]))
    for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
is_((len(results), len(set(results))), (8, 1), "eight concurrent requests with one key get one id")
receiver.wait_for(7, "/in")
ok(receiver.quiet(1, "/in"), "no event is sent twice")
is_(sum('"race"' in b for b in bodies()), 1, "not one of them")

# Batches
receiver.clear()
many = app.post("/events", [{"type": "invoice.paid", "data": {"i": i}} for i in range(1000)])
is_((many.status, len(set(many.json["ids"]))), (202, 1000), "a batch may have a thousand events")
is_(many.json["ids"], sorted(many.json["ids"]), "their ids are in order")
got = receiver.wait_for(1000, "/in", 60)
is_(sorted(json.loads(r.body)[0]["i"] for r in got), list(range(1000)), "all arrive once")
is_(app.post("/events", [{"type": "invoice.paid", "data": 1}] * 1001).status, 413,
    "a batch of a thousand and one is refused")
is_(app.post("/events", []).status, 422, "nor none")

# Refused events leave no trace.
count = len(api.get("/events?limit=500").json)
before = api.get("/events?limit=1").json[0]["id"]
receiver.clear()
good = {"type": "invoice.paid", "data": 1}
for body, field in (
        ({"data": 1}, "type"), ({"type": "invoice.paid"}, "data"),
        ({**good, "type": "Invoice.Paid"}, "type"), ({**good, "type": "nodot"}, "type"),
        ({**good, "type": "unknown.type"}, "type"), ({**good, "type": 5}, "type"),
        ({**good, "type": "a." + "b" * 200}, "type"),
        ({**good, "key": ""}, "key"), ({**good, "key": "k" * 300}, "key"),
        ({**good, "key": 7}, "key"), ({**good, "id": "x" * 300}, "id"), ({**good, "id": 1}, "id"),
        ({**good, "time": "yesterday"}, "time"), ({**good, "extra": 1}, "extra"),
        ({**good, "tenant": ""}, "tenant"), ([good, {**good, "type": "x"}], "[1].type"),
        ([good, 5], "[1]")):
    answer = app.post("/events", body)
    fields = [e["field"] for e in (answer.json or {}).get("errors", [])]
    is_((answer.status, fields), (422, [field]), f"{json.dumps(body)[:60]} names {field}")
is_(app.post("/events", {**good, "data": "x" * 10001}).status, 413, "too large data: 413")
is_(app.post("/events", [good, {**good, "data": "x" * 10001}]).status, 413,
    "too large data in a batch: 413")
is_(app.post("/events", '{"type":"invoice.paid","data":1').status, 400, "not JSON: 400")
is_(app.post("/events", '{"type":"invoice.paid","data":1}',
             {"Content-Type": "text/plain"}).status, 415, "a Content-Type that is not JSON: 415")
is_(api.get("/events?limit=1").json[0]["id"], before, "no refused event is stored")
ok(receiver.quiet(1), "nor sent")

# Members
answer = app.post("/events", {**good, "time": "2026-01-31T23:59:59.5+01:00"})
is_(api.get("/events/" + answer.json["id"]).json["time"], "2026-01-31T22:59:59.500Z",
    "the given time is stored, in UTC")
answer = app.post("/events", {**good, "data": {"id": 17}})
is_(api.get("/events/" + answer.json["id"]).json["key"], "17",
    "without a key the data's id is the key")
nobody = httpd.api(None, "app")
answer = nobody.post("/events", good)
is_((answer.status, [e["field"] for e in answer.json["errors"]]), (422, ["tenant"]),
    "an administrator without a tenant is refused")
answer = nobody.post("/events", {**good, "tenant": "acme"})
is_(answer.status, 202, "unless the event names the tenant")
is_(api.get("/events/" + answer.json["id"]).status, 200, "that tenant's log has it")

# The log
listed = api.get("/events?limit=3")
is_(len(listed.json), 3, "the log is a list")
is_([e["id"] for e in listed.json], sorted((e["id"] for e in listed.json), reverse=True),
    "newest first")
ok(not set(e["id"] for e in api.get(listed.next).json) & set(e["id"] for e in listed.json),
   "with pages")
httpd.request("POST", "/employers/acme/employees", {"name": "Ada"})
is_([e["type"] for e in api.get("/events?type=employee.created").json], ["employee.created"],
    "?type=")
captured = api.get("/events?type=employee.created").json[0]
is_(captured["source"], "capture", "an event says where it came from")
is_([e["id"] for e in api.get("/events?event=employee.created").json], [captured["id"]],
    "?event= works as in other lists")
is_(api.get("/events?event=employee.created&type=employee.created").status, 400, "not both")
is_(len(api.get("/events?from=2099-01-01T00:00:00Z").json), 0, "?from=")
is_([len(api.get(f"/events?limit=1&from={year}-01-01T00:00:00+00:00").json)
     for year in (2020, 2099)], [1, 0], "the plus sign of a time's zone need not be escaped")
is_(len(api.get("/events?to=2020-01-01T00:00:00Z").json), 0, "?to=")
is_(api.get("/events?from=x").status, 400, "?from= must be a time")
is_(api.get("/events/" + "0" * 36).status, 404, "an unknown event is not found")

# Filters of the log
finder, app = httpd.api("finder"), httpd.api("finder", "app")
type_ = finder.get("/event-types").json[0]["type"]
ids = app.post("/events", [{"type": type_, "key": f"k{n}", "data": {"n": n, "name": f"Ada {n}%"}}
                           for n in range(3)]).json["ids"]
finder.subscribe(receiver.url + "/finder", [type_])
matched = app.post("/events", {"type": type_, "key": "k1", "data": {"n": 9}}).json["id"]


def found(query):
    return [row["id"] for row in finder.get("/events?" + query).json]


is_(found("key=k1"), [matched, ids[1]], "events are found by their key")
is_(found("key=k1&unmatched=true"), [ids[1]], "events are found by having no delivery")
is_(found("source=publish&limit=2"), [matched, ids[2]],
    "events are found by their source, page by page")
is_(found("source=capture"), [], "a source without events gives an empty list")
answer = finder.get("/events?q=aDA%202%25")
is_([row["id"] for row in answer.json], [ids[2]],
    "events are found by a text in their data, in any case")
ok(re.fullmatch(r"\S+Z/\S+Z", answer.headers["X-Hook-Searched"]),
   "the response names the span of time that was searched")

# Deliveries by the contents of their events
one = finder.get("/subscriptions").json[0]["id"]


def of_events(path):
    answer = finder.get(path)
    return [row["event_id"] for row in answer.json] if answer.status == 200 else answer


for path in ("/deliveries?", f"/subscriptions/{one}/deliveries?"):
    is_(of_events(path + "key=k1"), [matched], "deliveries are found by their event's key")
    is_(of_events(path + "key=k2"), [], "a delivery whose event has no key shows none")
    is_(of_events(path + "source=publish"), [matched],
        "deliveries are found by their event's source")
    is_(of_events(path + "q=%22N%22&state=delivered&source=sql"), [],
        "deliveries are found by several filters at once")
    answer = finder.get(path + "q=%22N%22")
    is_([row["event_id"] for row in answer.json], [matched],
        "deliveries are found by a text in their event's data")
    ok(re.fullmatch(r"\S+Z/\S+Z", answer.headers["X-Hook-Searched"]),
       "the response names the span of time that was searched")
is_(finder.get("/deliveries?source=x").status, 400, "an unknown source is refused")
is_([finder.get("/events?" + bad).status for bad in ("source=x", "unmatched=1")], [400, 400],
    "invalid values are refused")
done_testing()
