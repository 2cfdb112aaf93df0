#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The main story: proxied calls become signed POSTs to the tenant's subscribers."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import shutil
import subprocess

LIBRARY = """
const { Webhook } = require("standardwebhooks");
const [secret, headers, body] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
"""


def library_verifies(secret, received):
    """Return what the npm package standardwebhooks says; None: it is not installed."""
    if not shutil.which("node") or not os.path.isdir(os.environ.get("NODE_PATH", "-")):
        return None
    given = json.dumps([secret, dict(received.headers), received.body.decode()])
    done = subprocess.run(["node", "-e", LIBRARY], input=given, capture_output=True, text=True,
                          check=False)
    return done.returncode == 0 and json.loads(done.stdout) == json.loads(received.body)


receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend)
api = httpd.api("acme")

answer = api.post("/subscriptions", {"target_url": receiver.url + "/in",
                                     "events": ["employee.*"]})
is_(answer.status, 201, "a tenant subscribes")
subscription = answer.json
secret = subscription["secret"]
like(secret, r"^whsec_", "the tenant learns the secret")
like(answer.headers["Location"] or "", "/hooks/subscriptions/" + subscription["id"] + "$",
     "Location is the subscription's URL")
other = httpd.api("globex").subscribe(receiver.url + "/other", ["employee.*"])

traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
created = httpd.request("POST", "/employers/acme/employees", {"name": "Ada Löwelace"},
                        {"traceparent": traceparent})
is_(created.status, 201, "an employee is created through the proxy")
got = receiver.wait_for(1, "/in")
is_(len(got), 1, "one POST arrives")
post = got[0]
is_(post.method, "POST", "its method is POST")
is_(post.body, b"[" + created.body + b"]", "its body is the item byte for byte, in an array")
is_(post.headers.get("Content-Type"), "application/json", "as JSON")
is_(post.headers.get("X-Hook-Event"), "employee.created", "it names the event")
is_(post.headers.get("X-Hook-Subscription"), subscription["id"], "it names the subscription")
is_(post.headers.get("Accept"), "*/*", "it accepts any response")
like(post.headers.get("User-Agent"), r"^mod_resthooks/\d+\.\d+", "its User-Agent is mod_resthooks")
is_(post.headers.get("traceparent"), traceparent, "it has the request's traceparent")
like(post.headers.get("webhook-id"), r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-",
     "its id is a UUIDv7")
ok(verify(secret, post.headers, post.body), "its signature is valid")
ok(not verify(other["secret"], post.headers, post.body), "no other secret verifies it")
judged = library_verifies(secret, post)
if judged is None:
    skip("the library standardwebhooks accepts the signature", "it is not installed")
else:
    ok(judged, "the library standardwebhooks accepts the signature")

place = created.headers["Location"]
updated = httpd.request("PATCH", place, {"role": "Analyst"})
got = receiver.wait_for(2, "/in")
is_((len(got), got[-1].headers.get("X-Hook-Event"), got[-1].body),
    (2, "employee.updated", b"[" + updated.body + b"]"), "an update arrives")
replaced = httpd.request("PUT", place, {"name": "Ada", "role": "Countess"})
got = receiver.wait_for(3, "/in")
is_((len(got), got[-1].headers.get("X-Hook-Event"), got[-1].body),
    (3, "employee.updated", b"[" + replaced.body + b"]"), "a replacement arrives")
deleted = httpd.request("DELETE", place)
is_((deleted.status, deleted.body), (204, b""), "the employee is deleted")
got = receiver.wait_for(4, "/in")
is_((len(got), got[-1].headers.get("X-Hook-Event"), got[-1].body),
    (4, "employee.deleted", b"[" + replaced.body + b"]"),
    "the deletion arrives with the earlier state")
ok(all(verify(secret, r.headers, r.body) for r in got), "all POSTs are signed")
is_(len({r.headers.get("webhook-id") for r in got}), 4, "each has an id of its own")

is_(receiver.received("/other"), [], "another tenant receives nothing of it")
failed = httpd.request("PATCH", place, {"role": "Ghost"})
is_(failed.status, 404, "a call that fails makes no event")
httpd.request("GET", "/employers/acme/employees")
ok(receiver.quiet(1.0, "/in"), "calls that only read make no events")

deliveries = wait_until(lambda: [d for d in api.deliveries(subscription["id"])
                                 if d["state"] == "delivered"][3:] and
                        api.deliveries(subscription["id"]))
is_([d["type"] for d in deliveries or []],
    ["employee.deleted", "employee.updated", "employee.updated", "employee.created"],
    "its deliveries are listed, newest first")
detail = api.get("/deliveries/" + deliveries[0]["id"]).json
is_([a["status_code"] for a in detail["attempts"]], [200], "each delivery has its attempt")
is_(detail["payload"], json.loads(got[-1].body), "each has the payload as sent")

answer = api.delete("/subscriptions/" + subscription["id"])
is_(answer.status, 204, "the tenant unsubscribes")
created = httpd.request("POST", "/employers/acme/employees", {"name": "Charles"})
is_(created.status, 201, "an employee is created then")
ok(receiver.quiet(1.5, "/in"), "it is not sent any more")
done_testing()
