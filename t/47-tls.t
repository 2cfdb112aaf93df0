#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""https targets: verified by name, date and authority; client certificates."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import ssl

authority, stranger = Authority(), Authority("Somebody Else")
certificate, key = authority.issue("DNS:client", client=True)
old = authority.context()
old.maximum_version = ssl.TLSVersion.TLSv1_2
servers = {
    "by address": Receiver(tls=authority.context()),
    "TLS 1.2 only": Receiver(tls=old),
    "that wants a client certificate": Receiver(tls=authority.context(client_ca=authority.file)),
}
wrong = {
    "of another name": Receiver(tls=authority.context("DNS:elsewhere.example,IP:127.0.0.9")),
    "of another authority": Receiver(tls=stranger.context()),
    "that has expired": Receiver(tls=authority.context(days=-1)),
}
plain = Receiver()
httpd = Httpd(retry="1s", targets="RestHooksTargetAllow 127.0.0.0/8", extra=f"""
    RestHooksEventType some.thing "a thing"
    RestHooksTLSCAFile {authority.file}
    RestHooksTLSCertificate {certificate}
    RestHooksTLSKey {key}
""")
api, app = httpd.api(), httpd.api(role="app")

subscriptions = {what: api.subscribe(server.url + "/in", ["some.thing"])
                 for what, server in {**servers, **wrong}.items()}
by_name = api.subscribe(f"https://localhost:{servers['by address'].port}/name", ["some.thing"])
no_tls = api.subscribe(f"https://127.0.0.1:{plain.port}/in", ["some.thing"])
for number in range(3):
    app.post("/events", {"type": "some.thing", "data": {"number": number}})

for what, server in servers.items():
    got = server.wait_for(3, "/in")
    is_(len(got), 3, f"a server {what}: events arrive")
    ok(all(verify(subscriptions[what]["secret"], r.headers, r.body) for r in got), "signed")
is_(len(servers["by address"].wait_for(3, "/name")), 3, "a server by name: events arrive")


def failed(subscription):
    return wait_until(lambda: [r for r in api.deliveries(subscription["id"])
                               if r["state"] == "failed"][2:] and
                      api.deliveries(subscription["id"]), 60)


for what, server in wrong.items():
    rows = failed(subscriptions[what])
    ok(rows, f"a certificate {what}: every delivery fails")
    error = api.get("/deliveries/" + rows[0]["id"]).json["attempts"][0]["error"] if rows else ""
    like(error, r"(?i)tls|certificate", f"a certificate {what}: the attempt says why ({error})")
    is_(server.received(), [], f"a certificate {what}: no request is sent")
ok(failed(no_tls), "a server without TLS: every delivery fails")
is_(plain.received(), [], "a server without TLS: nothing is sent in clear text")
before = len(servers["by address"].received("/in"))
for number in range(20):
    app.post("/events", {"type": "some.thing", "data": {"number": number}})
got = servers["by address"].wait_for(before + 20, "/in")
ok(len({r.connection for r in got}) < len(got), "connections are reused")
done_testing()
