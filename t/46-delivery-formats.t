#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What a target receives: formats, headers, rotated secrets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
httpd = Httpd(extra='RestHooksEventType order.paid "an order was paid"')
api, app = httpd.api(), httpd.api(role="app")
TOKEN = "t" * 8190
DATA = '{"id": 7, "text":"\\u00e9 é", "n": 1.50, "list":[1,2 , 3]}'


def publish(**fields):
    body = '{"type":"order.paid","key":"k7","data":' + DATA + "}"
    return app.post("/events", body).json["id"]


subscriptions = {name: api.subscribe(receiver.url + "/" + name, ["order.paid"], format=name)
                 for name in ("array", "envelope", "cloudevents", "skinny")}
own = api.subscribe(receiver.url + "/own", ["order.paid"],
                    headers={"X-Own": "mine", "Authorization": "Bearer t", "X-Token": TOKEN})
event_id = publish()
got = {name: receiver.wait_for(1, "/" + name)[0] for name in subscriptions}

is_(got["array"].body, b"[" + DATA.encode() + b"]", "array: the item byte for byte")
is_(got["array"].headers.get("Content-Type"), "application/json", "array: the payload is JSON")
envelope = json.loads(got["envelope"].body)
is_(sorted(envelope), ["data", "timestamp", "type"], "envelope: it has type, timestamp and data")
is_((envelope["type"], envelope["data"]), ("order.paid", json.loads(DATA)),
    "envelope: their values")
ok(DATA.encode() in got["envelope"].body, "envelope: the data is byte for byte the item")
like(envelope["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
     "envelope: the event's time")
event = json.loads(got["cloudevents"].body)
is_(got["cloudevents"].headers.get("Content-Type").split(";")[0], "application/cloudevents+json",
    "cloudevents: the media type")
is_((event["specversion"], event["id"], event["type"], event["data"]),
    ("1.0", event_id, "order.paid", json.loads(DATA)), "cloudevents: the values of its members")
ok(event.get("source"), "cloudevents: it has a source")
skinny = json.loads(got["skinny"].body)
is_((len(skinny), sorted(skinny[0]), skinny[0]["id"], skinny[0]["type"], skinny[0]["key"]),
    (1, ["id", "key", "type", "url"], event_id, "order.paid", "k7"),
    "skinny: the values of its members")
for name, subscription in subscriptions.items():
    post = got[name]
    ok(verify(subscription["secret"], post.headers, post.body), f"{name}: is signed")
    is_(post.headers.get("webhook-id"), event_id, f"{name}: webhook-id is the event's id")
    is_(len(post.headers.get("webhook-signature").split()), 1, f"{name}: has one signature")
    is_(post.headers.get("traceparent"), None, f"{name}: has no traceparent of its own")

post = receiver.wait_for(1, "/own")[0]
is_((post.headers.get("X-Own"), post.headers.get("Authorization")), ("mine", "Bearer t"),
    "the subscription's own headers are sent")
is_(post.headers.get("X-Token"), TOKEN, "a value of 8,190 bytes is sent whole")
for name in ("webhook-id", "Content-Length", "Transfer-Encoding", "Connection", "Host",
             "X-Hook-Event", "User-Agent", "Content-Type", "bad name", ""):
    answer = api.post("/subscriptions", {"target_url": receiver.url + "/x", "events": ["*"],
                                         "headers": {name: "x"}})
    ok(400 <= answer.status < 500, f"a header {name!r} can't be set ({answer.status})")
answer = api.post("/subscriptions", {"target_url": receiver.url + "/x", "events": ["*"],
                                     "headers": {"X-A": "b\r\nX-C: d"}})
ok(400 <= answer.status < 500, "a value with a line break can't be set")

subscription = subscriptions["array"]
place = "/subscriptions/" + subscription["id"]
answer = api.post(place + "/secret/rotate", {"overlap": "24h"})
is_(answer.status, 200, "the secret is rotated")
new = answer.json["secret"]
ok(new != subscription["secret"], "the response has a new secret")
is_(api.get(place + "/secret").json["secret"], new, "the new secret can be read")
publish()
post = receiver.wait_for(2, "/array")[-1]
is_(len(post.headers.get("webhook-signature").split()), 2,
    "during the overlap there are two signatures")
ok(verify(new, post.headers, post.body), "one is by the new secret")
ok(verify(subscription["secret"], post.headers, post.body), "one is by the old secret")
answer = api.post(place + "/secret/rotate", {"overlap": "0s"})
is_(answer.status, 200, "the secret is rotated without an overlap")
publish()
post = receiver.wait_for(3, "/array")[-1]
ok(verify(answer.json["secret"], post.headers, post.body), "the newest secret signs")
ok(not verify(new, post.headers, post.body), "the one before it no longer does")

given = api.subscribe(receiver.url + "/given", ["order.paid"],
                      secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
answer = api.post("/subscriptions/" + given["id"] + "/test")
is_(answer.status, 202, "a test delivery is accepted")
post = receiver.wait_for(1, "/given")
ok(post and verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", post[0].headers, post[0].body),
   "it arrives, signed by the secret that the subscriber chose")
is_(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
         b'{"test": 2432232314}'), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    "(this test verifies as Standard Webhooks does)")
done_testing()
