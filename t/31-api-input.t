#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Invalid input: each case gets a clear problem, and nothing is stored."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

strict = Vhost(name="strict", targets="", rules=RULES)
httpd = Httpd(vhosts=[strict, Vhost(name="open", targets="RestHooksTargets http")])
api, plain = strict.api(), httpd.vhosts[1].api()
good = {"target_url": "https://example.com/in", "events": ["employee.created"]}
made = api.subscribe(**good)
url = "/subscriptions/" + made["id"]


def problem(answer, status, name, field=None):
    """Expect a problem of RFC 9457 with this status, which names the field."""
    body = answer.json or {}
    got = (answer.status, answer.type, body.get("status"), bool(body.get("title")),
           bool(body.get("detail")))
    is_(got, (status, "application/problem+json", status, True, True), name)
    if field is not None:
        fields = [e["field"] for e in body.get("errors", [])]
        ok(field in fields, f"{name}: names {field or 'the body'}") or diag(str(body))


def refused(body, name, field=None, status=422, client=api):
    problem(client.post("/subscriptions", body), status, name, field)


# Target URLs
for target in ("", "x", "example.com", "/in", "ftp://example.com/", "javascript:alert(1)",
               "https://", "https:///in", "https://user@example.com/",
               "https://user:secret@example.com/", "https://example.com/#here",
               "https://example.com:0/", "https://example.com:65536/", "https://example.com:x/",
               "https://example.com:-1/", "https://exa mple.com/", "https://example.com/a b",
               "https://example.com/\r\nX: y", "https://example.com/\t",
               "https://example.com/é", "https://example.com\\@evil.example/",
               "https://[::1/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/",
               "https://0x7f000001/", "https://2130706433/", "https://127.1/",
               "https://0177.0.0.1/", "https://1.2.3.4.5/", "https://300.1.1.1/",
               "https://example.com/%zz", "https://a..b/",
               "https://" + "a" * 64 + ".example/", "https://example.com/" + "x" * 2048,
               "https://" + ".".join(["a" * 60] * 5) + "/", 5, None, [], {}):
    refused({**good, "target_url": target}, f"target {json.dumps(target)[:50]}", "target_url")
refused({**good, "target_url": "http://example.com/"}, "http where only https is allowed",
        "target_url")
for target in ("http://0x7f000001/", "http://[::ffff:127.0.0.1]/", "http://127.0.0.1/",
               "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data",
               "http://[fd00::1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
               "http://0.0.0.0/", "http://192.168.1.1:8080/", "http://100.64.0.1/",
               "http://224.0.0.1/", "http://255.255.255.255/", "http://168.63.129.16/",
               "http://[64:ff9b::a83f:8110]/"):
    refused({**good, "target_url": target}, f"address {target}", "target_url", client=plain)
for target in ("https://example.com", "https://EXAMPLE.com:8443/a?b=c", "https://xn--bcher-kva.example/",
               "https://93.184.216.34/", "https://[2606:2800:220:1:248:1893:25c8:1946]/in",
               "https://example.com./", "https://a_b.example.com/"):
    answer = api.post("/subscriptions", {**good, "target_url": target})
    ok(answer.status == 201, f"target {target} is accepted") or diag(str(answer))
    if answer.status == 201:
        api.delete("/subscriptions/" + answer.json["id"])
answer = api.post("/subscriptions", {**good, "target_url": "https://b\u00fccher.example/a?b=\u0063"})
is_(answer.json.get("target_url"), "https://xn--bcher-kva.example/a?b=c",
    "an international host is stored in its ASCII form")
api.delete("/subscriptions/" + answer.json["id"])
for target in ("https://b\u00fccher.example/\u00fc", "https://a\u2488.example/",
               "https://\uff11\uff12\uff17.1/", "http://\uff11\uff12\uff17.0.0.1/"):
    refused({**good, "target_url": target}, f"target {target.encode()}", "target_url", client=plain)
refused({**good, "url": "https://example.com/"}, "two names of the member for the target")
refused({**good, "event": "employee.created"}, "two names of the member for the events")

# Members
for field, values in {
        "events": ([], "", [""], ["Employee"], ["a"], ["employee.unknown"], ["*.created"], ["a.*.b"],
                   [5], [None], 5, {"a": 1},
                   ["a." + "b" * 128], [f"employee.x{i}" for i in range(101)]),
        "active": ("true", 1, "no"),
        "description": (5, ["x"], "x" * 1001, "\u0000"),
        "format": ("xml", 1, [], "ARRAY"),
        "headers": ([], "X: y", {"X": 5}, {"Host": "x"}, {"Content-Length": "1"},
                    {"Connection": "close"}, {"Transfer-Encoding": "x"}, {"webhook-id": "x"},
                    {"X-Hook-Event": "x"}, {"User-Agent": "x"}, {"traceparent": "x"},
                    {"bad name": "x"}, {"": "x"}, {"X": "a\r\nY: b"}, {"X": "\u0000"},
                    {"X": "x" * 8191}, {"Via": "x"}, {"X_A": "x"}, {"X-A": "1", "x-a": "2"}, {f"X-{i}": "y" for i in range(21)}),
        "ordered": ("yes", 0), "rate_limit": (0, -1, 100001, 1.5, "7", True),
        "secret": ("x", "whsec_", "whsec_!!!!", 5, "whsec_" + "QUFB" * 5, "whsec_" + "QUFB" * 22),
}.items():
    for value in values:
        answer = api.post("/subscriptions", {**good, field: value})
        fields = [e["field"] for e in (answer.json or {}).get("errors", [])]
        shown = json.dumps(value)[:40]
        is_((answer.status, answer.type), (422, "application/problem+json"), f"{field}: {shown}")
        ok(any(f == field or f.startswith((field + ".", field + "[")) for f in fields),
           f"{field}: {shown} is named") or diag(str(answer))
refused({**good, "colour": "red"}, "an unknown member", "colour")
refused({"events": ["*"]}, "no target", "target_url")
refused({"target_url": good["target_url"]}, "no events", "events")
answer = api.post("/subscriptions", {"target_url": "x", "events": [], "format": "y", "zzz": 1})
is_(sorted(e["field"] for e in answer.json["errors"]), ["events", "format", "target_url", "zzz"],
    "all invalid fields are named at once")
refused([], "an array", "")
refused("text", "a string", status=400)
refused("null", "null", "")

# Bodies
for body, status, name in (
        (b"", 400, "no body"), (b"{", 400, "truncated JSON"), (b"{}x", 400, "something after it"),
        (b"{'a':1}", 400, "single quotes"), (b'{"a":1,}', 400, "a trailing comma"),
        (b'{"target_url":"https://example.com/\xff"}', 400, "invalid UTF-8"),
        (b'{"target_url":"https://example.com/\x00"}', 400, "a NUL byte"),
        (b'\xef\xbb\xbf{}', 400, "a byte order mark"), (b'{"a":NaN}', 400, "NaN"),
        (b'{"events":["*"],"events":["*"]}', 400, "a member twice"),
        (b"[" * 30000, 400, "very deep"), (b'{"a":"' + b"x" * 70000 + b'"}', 413, "70 kB"),
        (b'{"a":"' + b"x" * 10 * 1024 * 1024 + b'"}', 413, "10 MB"),
        ("{\"target_url\":\"https://example.com/\ud800\"}".encode("utf-8", "surrogatepass"), 400,
         "a surrogate in UTF-8")):
    for method, path in (("POST", "/subscriptions"), ("PATCH", url), ("PUT", url)):
        problem(api.call(method, path, body, {"Content-Type": "application/json"}), status,
                f"{method}: {name}")
for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"):
    problem(api.call("POST", "/subscriptions", json.dumps(good), {"Content-Type": kind}), 415,
            f"Content-Type {kind}")
answer = api.call("POST", "/subscriptions", json.dumps(good),
                  {"Content-Type": "Application/JSON; charset=utf-8"})
is_(answer.status, 201, "Content-Type with a charset is accepted")
api.delete("/subscriptions/" + answer.json["id"])

# Paths and methods
for bad in ("x", "1", "0" * 36, made["id"].upper(), made["id"] + "0", "%00",
            made["id"][:-1] + "g", "'%20or%201=1--", "%7B%7D"):
    answer = api.get("/subscriptions/" + bad)
    ok(answer.status in (400, 404), f"GET /subscriptions/{bad[:40]}: {answer.status}")
for path in ("/nothing", "/subscriptions/", url + "/", url + "/nothing", "/subscription"):
    problem(api.get(path), 404, f"GET {path[:20]}")
for method, path, allow in (
        ("DELETE", "/subscriptions", "GET, HEAD, POST, OPTIONS"),
        ("POST", url, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"), ("GET", url + "/test", "POST, OPTIONS"),
        ("PUT", "/events", "GET, HEAD, POST, OPTIONS"), ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/subscriptions", "GET, HEAD, POST, OPTIONS"),
        ("TRACK", "/subscriptions", "GET, HEAD, POST, OPTIONS")):
    answer = api.call(method, path, None)
    problem(answer, 405, f"{method} {path.split('/')[1]}")
    is_(answer.headers["Allow"], allow, "with Allow")
answer = api.call("OPTIONS", "/subscriptions")
is_((answer.status, answer.headers["Allow"]), (204, "GET, HEAD, POST, OPTIONS"), "OPTIONS")
head, get = api.call("HEAD", "/subscriptions"), api.get("/subscriptions")
is_((head.status, head.body, head.headers["Content-Length"]),
    (200, b"", str(len(get.body))), "HEAD is GET without the body")

# Tenants
nobody = strict.api(None)
for method, path in (("GET", "/subscriptions"), ("POST", "/subscriptions"), ("GET", "/events"),
                     ("GET", "/deliveries"), ("GET", "/event-types"), ("GET", url)):
    problem(nobody.call(method, path, good if method == "POST" else None), 403,
            f"no tenant: {method} {path.split('/')[1]}")
httpd.expect("RH04..: .*enant")
problem(strict.api("t" * 256).get("/subscriptions"), 403, "a tenant of 256 bytes")
problem(api.post("/subscriptions", good, {"Sec-Fetch-Site": "cross-site"}), 403,
        "from another site in a browser")

# The other resources
for path, body, field in (("/replay", {}, "from"), ("/replay", {"from": "x"}, "from"),
                          ("/replay", {"from": "2026-01-01T00:00:00Z", "state": "all"}, "state"),
                          ("/replay", {"from": "2026-01-02T00:00:00Z",
                                       "to": "2026-01-01T00:00:00Z"}, "to"),
                          ("/replay", {"from": "2026-01-01T00:00:00Z", "x": 1}, "x"),
                          ("/test", {"type": "no"}, "type"), ("/test", {"x": 1}, "x"),
                          ("/test", {"type": "un.known"}, "type")):
    problem(api.post(url + path, body), 422, f"{path} {json.dumps(body)[:50]}", field)
for query in ("state=x", "from=x", "to=2026", "event=x", "limit=x", "type=a.b"):
    problem(api.get("/deliveries?" + query), 400, f"/deliveries?{query}")

rows = api.get("/subscriptions").json
is_([s["id"] for s in rows], [made["id"]], "nothing of all this was stored")
is_({k: v for k, v in rows[0].items()}, {k: v for k, v in made.items() if k != "secret"},
    "or changed")
is_(plain.get("/subscriptions").json, [], "nothing was stored on either host")
done_testing()
