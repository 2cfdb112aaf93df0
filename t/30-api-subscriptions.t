#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Subscriptions through the API: create, read, list, replace, patch, delete, secrets."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import threading

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, extra='RestHooksTenantRequests 64\n'
              'RestHooksEventType invoice.paid "was paid"\n'
                                     "SetOutputFilter DEFLATE")
api, app = httpd.api(), httpd.api(role="app")
UUID7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
target = receiver.url + "/in"

# Create
made = api.post("/subscriptions", {"target_url": target, "events": ["employee.created"]})
row = made.json
is_((made.status, made.type), (201, "application/json"), "a subscription is created")
is_(sorted(row), sorted(["id", "target_url", "events", "active", "description", "format",
                         "headers", "ordered", "rate_limit", "state", "state_reason",
                         "created_at", "updated_at", "stats", "secret"]),
    "it has every member")
like(row["id"], UUID7, "its id is a UUIDv7")
like(row["created_at"], TIME, "its time is in RFC 3339, UTC, with milliseconds")
is_((row["active"], row["state"], row["format"], row["headers"], row["ordered"],
     row["rate_limit"], row["description"], row["state_reason"]),
    (True, "active", "array", {}, False, None, "", None),
    "members that were not given have their defaults")
is_(row["stats"], {"delivered": 0, "failed": 0, "pending": 0, "last_status_code": None,
                   "last_attempt_at": None}, "its statistics are empty")
like(row["secret"], r"^whsec_[A-Za-z0-9+/]{32,}=*$", "a secret was generated")
is_(made.headers["Location"], httpd.url + "/hooks/subscriptions/" + row["id"],
    "Location is the subscription's URL")
secret = row.pop("secret")
url = "/subscriptions/" + row["id"]
read = api.get(url)
is_((read.status, read.json), (200, row), "a GET shows it as it was created, without the secret")
is_(read.headers["ETag"], made.headers["ETag"], "a GET has the same ETag")
is_(api.get(url + "/secret").json, {"secret": secret, "old_secret_expires_at": None},
    "the secret has a URL of its own")
mine = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
own = api.subscribe(target, ["invoice.paid"], secret=mine)
ok("secret" not in own, "a secret that the caller chose is not shown")
is_(api.get("/subscriptions/" + own["id"] + "/secret").json["secret"], mine, "but taken")
for alias in ("target", "url", "hookUrl", "subscription_url"):
    answer = api.post("/subscriptions", {alias: target, "event": "employee.*"})
    is_((answer.status, answer.json["target_url"], answer.json["events"]),
        (201, target, ["employee.*"]), f"{alias} and event are other names")
    api.delete("/subscriptions/" + answer.json["id"])
full = {"target_url": target, "events": ["employee.*", "invoice.paid"], "active": False,
        "description": "zwölf \"x\" \\ \U0001f600", "format": "envelope",
        "headers": {"X-Own": "a b"}, "ordered": True, "rate_limit": 7}
answer = api.post("/subscriptions", full)
is_({k: answer.json[k] for k in full}, full, "every member is stored")
is_(answer.json["state"], "paused", "active: false pauses it")
paused = answer.json["id"]

# Lists
ids = [s["id"] for s in api.get("/subscriptions").json]
is_(ids, [paused, own["id"], row["id"]], "the list has the newest first")
is_([s["id"] for s in api.get("/subscriptions?active=true").json], [own["id"], row["id"]],
    "?active=true")
is_([s["id"] for s in api.get("/subscriptions?active=false").json], [paused], "?active=false")
is_([s["id"] for s in api.get("/subscriptions?event=invoice.paid").json], [paused, own["id"]],
    "?event= finds subscriptions whose patterns cover it")
first = api.get("/subscriptions?limit=2&active=true")
is_((len(first.json), first.next), (2, None), "the last page has no Link")
first = api.get("/subscriptions?limit=1&event=invoice.paid")
second = api.get(first.next)
is_([s["id"] for s in first.json + second.json], [paused, own["id"]], "Link leads to the next page")
is_(second.next, None, "and ends")
for query in ("limit=0", "limit=501", "limit=x", "limit=-1", "active=yes", "event=.", "before=x",
              "nonsense=1", "limit=1&limit=2", "limit=%zz"):
    answer = api.get("/subscriptions?" + query)
    is_((answer.status, answer.type), (400, "application/problem+json"), f"?{query} is refused")

# Change
answer = api.patch(url, {"description": "new", "headers": {"X-A": "1", "X-B": "2"}})
is_((answer.status, answer.json["description"], answer.json["events"], answer.json["headers"]),
    (200, "new", ["employee.created"], {"X-A": "1", "X-B": "2"}),
    "PATCH changes the members that it names")
answer = api.patch(url, {"headers": {"X-A": None}, "rate_limit": 3})
is_((answer.json["headers"], answer.json["rate_limit"]), ({"X-B": "2"}, 3), "PATCH merges objects")
answer = api.patch(url, {"rate_limit": None, "description": None})
is_((answer.json["rate_limit"], answer.json["description"]), (None, ""), "null sets the default")
tag = answer.headers["ETag"]
is_(api.patch(url, {"ordered": True}, {"If-Match": '"999"'}).status, 412,
    "If-Match with another ETag is refused")
is_(api.get(url).json["ordered"], False, "changes nothing")
answer = api.patch(url, {"ordered": True}, {"If-Match": tag})
is_(answer.status, 200, "If-Match with the current ETag is accepted")
ok(answer.headers["ETag"] != tag, "the change gives a new ETag")
is_(api.patch(url, {"ordered": False}, {"If-Match": tag}).status, 412,
    "the old ETag is no longer valid")
is_(api.delete(url, {"If-Match": tag}).status, 412, "DELETE checks it too")
crowd = api.subscribe(target, ["*"])["id"]
statuses = []
threads = [threading.Thread(target=lambda n=n: statuses.append(
    api.patch("/subscriptions/" + crowd, {"headers": {f"X-{n}": "1"}}).status)) for n in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
is_(statuses, [200] * 20, "without If-Match, all concurrent changes are made")
is_(len(api.get("/subscriptions/" + crowd).json["headers"]), 20, "none of them undoes another")
api.delete("/subscriptions/" + crowd)
is_(api.put(url, {"target_url": target, "events": ["*"]}, {"If-Match": "*"}).status, 200,
    "If-Match: * holds for an existing subscription")
zipped = api.get(url, {"Accept-Encoding": "gzip"})
is_(zipped.headers["Content-Encoding"], "gzip", "mod_deflate may compress the response")
is_(api.patch(url, {"description": None}, {"If-Match": zipped.headers["ETag"]}).status, 200,
    "its modified ETag is accepted")
is_(api.patch(url, {"description": "x"}, {"If-Match": zipped.headers["ETag"]}).status, 412,
    "and no longer after a change")
changed = api.get(url).json
is_((changed["events"], changed["ordered"], changed["headers"]), (["*"], False, {}),
    "PUT replaces: members that it does not name get their defaults")
is_(changed["created_at"], row["created_at"], "except for the time of creation")
is_(api.get(url + "/secret").json["secret"], secret, "and the secret")
answer = api.put(url, changed)
is_((answer.status, answer.json["events"]), (200, ["*"]),
    "a representation can be sent back unchanged")
is_(api.put(url, {"events": ["*"]}).status, 422, "PUT needs a target")
is_(api.patch(url, {"secret": mine}).status, 422, "the secret is not changed by PATCH")

# Pause and revive
is_(api.patch(url, {"active": False}).json["state"], "paused", "paused")
httpd.request("POST", "/employers/acme/employees", {"name": "Missed"})
ok(receiver.quiet(1), "receives nothing")
is_(api.patch(url, {"active": True}).json["state"], "active", "revived")
httpd.request("POST", "/employers/acme/employees", {"name": "Seen"})
got = receiver.wait_for(1, "/in")
is_([json.loads(r.body)[0]["name"] for r in got], ["Seen"], "it receives what is published then")

# Secrets
before = api.get(url + "/secret").json["secret"]
answer = api.post(url + "/secret/rotate", {"overlap": "1h"})
is_(answer.status, 200, "the secret is rotated")
after = answer.json["secret"]
ok(after != before and answer.json["old_secret_expires_at"],
   "the response has the new secret, and when the old one ends")
receiver.clear()
httpd.request("POST", "/employers/acme/employees", {"name": "Both"})
got = receiver.wait_for(1, "/in")[0]
ok(verify(before, got.headers, got.body) and verify(after, got.headers, got.body),
   "during the overlap both secrets sign")
is_(len(got.headers["webhook-signature"].split()), 2, "with two signatures")
is_(api.get(url).json["old_secret_expires_at"], answer.json["old_secret_expires_at"],
    "the subscription shows when the overlap ends")
tag = api.get(url).headers["ETag"]
is_(api.delete(url + "/secret/old", {"If-Match": '"999"'}).status, 412,
    "If-Match with another ETag does not end the overlap")
is_(api.delete(url + "/secret/old").status, 204, "the overlap can be ended early")
is_((api.get(url).json.get("old_secret_expires_at"), api.get(url + "/secret").json),
    (None, {"secret": after, "old_secret_expires_at": None}), "only the new secret is left")
ok(api.get(url).headers["ETag"] != tag, "this changes the ETag")
tag = api.get(url).headers["ETag"]
is_((api.delete(url + "/secret/old").status, api.get(url).headers["ETag"]), (204, tag),
    "ending it again changes nothing")
receiver.clear()
httpd.request("POST", "/employers/acme/employees", {"name": "Ended"})
got = receiver.wait_for(1, "/in")[0]
is_([verify(s, got.headers, got.body) for s in (before, after)], [False, True],
    "only the new secret signs")
answer = api.post(url + "/secret/rotate", {"overlap": "0s"})
is_(answer.json["old_secret_expires_at"], None, "a rotation without an overlap keeps no old secret")
receiver.clear()
httpd.request("POST", "/employers/acme/employees", {"name": "One"})
got = receiver.wait_for(1, "/in")[0]
is_([verify(s, got.headers, got.body) for s in (before, after, answer.json["secret"])],
    [False, False, True], "after that only the new secret signs")
is_(api.call("POST", url + "/secret/rotate").status, 200, "a body is not required")
for bad in ({"overlap": "31d"}, {"overlap": 5}, {"overlap": "never"}, {"x": 1}):
    is_(api.post(url + "/secret/rotate", bad).status, 422, f"rotate: {bad} is refused")

# Unsubscribe
is_((api.delete(url).status, api.get(url).status, api.delete(url).status), (204, 404, 404),
    "a deleted subscription is gone")
is_(api.patch(url, {}).status, 404, "it can't be changed")
is_(api.delete(url + "/secret/old").status, 404, "its old secret is gone")
for path in ("/secret", "/deliveries"):
    is_(api.get(url + path).status, 404, f"and {path}")
done_testing()
