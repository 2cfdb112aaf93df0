#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Which requests become events, and what the events contain."""

import gzip
import os
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw

RULES = r"""
    RestHooksEvent thing.made     POST       "^/employers/(?<tenant>[^/]+)/things$"
    RestHooksEvent thing.changed  PUT,PATCH  "^/employers/(?<tenant>[^/]+)/things/(?<key>[^/]+)$"
    RestHooksEvent thing.dropped  DELETE     "^/employers/(?<tenant>[^/]+)/things/(?<key>[^/]+)$" \
        data=before
    RestHooksEvent sent.made      POST "^/employers/(?<tenant>[^/]+)/sent$" data=request
    RestHooksEvent after.made     POST,PUT "^/employers/(?<tenant>[^/]+)/after$" data=after
    RestHooksEvent both.first     POST "^/employers/(?<tenant>[^/]+)/both$"
    RestHooksEvent both.second    POST "^/employers/(?<tenant>[^/]+)/both$" data=request
    RestHooksEvent both.third     POST "^/employers/(?<tenant>[^/]+)/both$" data=after
    RestHooksEvent both.never     POST "^/employers/(?<tenant>[^/]+)/both$" status=4xx
    RestHooksEvent some.status    POST "^/employers/(?<tenant>[^/]+)/status/(\d+)$" status=202,409,5xx
    RestHooksEvent some.when      POST "^/employers/(?<tenant>[^/]+)/when/(?<colour>[^/]+)$" \
        "when=%{env:MATCH_COLOUR} == 'red' && %{resp:X-Kind} == 'good'"
    RestHooksEvent some.tenant    POST "^/employers/(?<where>[^/]+)/tenant$" \
        "tenant=%{env:MATCH_WHERE}"
    RestHooksEvent some.default   POST "^/employers/default$"
    RestHooksEvent any.get        GET  "^/employers/(?<tenant>[^/]+)/get$"
    RestHooksEvent any.purge      PURGE "^/employers/(?<tenant>[^/]+)/get$"
"""

backend = RawBackend()
httpd = Httpd(config="RegisterHttpMethod PURGE", backend=backend, rules=RULES,
              extra="RestHooksMaxData 5000", expect=["RH0615"])
events = Events(httpd, ("acme", "other"))
BASE = "/employers/acme"


def post(path, body=b'{"sent":1}', fields=(), method="POST"):
    return raw(httpd.port, method, path, body, fields)


def answering(status=200, body=b"", fields=()):
    def script(exchange):
        exchange.answer(status, body, fields)
        return True
    return script


def one(name, **expected):
    """Expect exactly one event since the last call, with these members."""
    found = events.new()
    if is_([e.type for e in found], [expected["type"]], f"{name}: there is one event"):
        for field in ("data", "key"):
            if field in expected:
                is_(getattr(found[0], field), expected[field], f"{name}: its {field}")
    return found[0] if found else None


EXACT = '{"a": 1.0 , "b":"\\u00e9",\t"c":[1e2, "é"],"id" : 7}\n'.encode()

# response
backend.on(BASE + "/things", answering(201, EXACT))
answer = post(BASE + "/things")
is_((answer.status, answer.body), (201, EXACT), "the client gets the answer")
one("data=response", type="thing.made", data=EXACT, key="7")

backend.on(BASE + "/things/9", answering(200, b'{"id":7}'))
post(BASE + "/things/9", method="PATCH")
one("the group `key` takes precedence over the data's id", type="thing.changed", data=b'{"id":7}', key="9")

backend.on(BASE + "/things/a%20b", answering(200, b'{"id":7}'))
post(BASE + "/things/a%20b", method="PUT")
one("groups are matched against the decoded path", type="thing.changed", key="a b")

backend.on(BASE + "/things", answering(200, b"[1,2]"))
post(BASE + "/things?x=1")
one("any JSON value is data, and the query is not part of the path", type="thing.made", data=b"[1,2]",
    key=None)

for name, body in (("an empty answer", b""), ("HTML", b"<p>made</p>"), ("two texts", b"{}{}"),
                   ("invalid UTF-8", b'{"a":"\xff"}'), ("a NUL", b'{"a":"\0"}'),
                   ("a cut text", b'{"a":')):
    backend.on(BASE + "/things", answering(200, body))
    post(BASE + "/things")
    one(name, type="thing.made", data=b'{"key":null}', key=None)
backend.on(BASE + "/things/9", answering(204))
post(BASE + "/things/9", method="PUT")
one("204", type="thing.changed", data=b'{"key":"9"}', key="9")

backend.on(BASE + "/things/q%22%5C", answering(204))
post(BASE + "/things/q%22%5C", method="PUT")
one("a key is quoted in the URL", type="thing.changed", data=b'{"key":"q\\"\\\\"}', key='q"\\')

post(BASE + "/things/" + "k" * 256, method="PUT")
is_(events.new(), [], "a 404 makes no event")
backend.on(BASE + "/things/" + "k" * 256, answering(200, b'{"id":"short"}'))
post(BASE + "/things/" + "k" * 256, method="PUT")
one("a key that is too long is dropped", type="thing.changed", key="short")

text = b'{"traced":true}'
backend.on(BASE + "/things", answering(200, text))
parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
post(BASE + "/things", fields=[("traceparent", parent)])
event = one("traceparent", type="thing.made", data=text)
is_(event.traceparent, parent, "traceparent is kept")
post(BASE + "/things", fields=[("traceparent", "00-garbage")])
is_(one("a bad traceparent", type="thing.made").traceparent, None,
    "an invalid traceparent is dropped")

# Content codings of the response
backend.on(BASE + "/things", answering(200, gzip.compress(EXACT), [("Content-Encoding", "gzip")]))
answer = post(BASE + "/things", fields=[("Accept-Encoding", "gzip")])
is_(gzip.decompress(answer.body), EXACT, "the client gets gzip")
one("gzip", type="thing.made", data=EXACT)
backend.on(BASE + "/things", answering(200, gzip.compress(EXACT[:9]) + gzip.compress(EXACT[9:]),
                                       [("Content-Encoding", "x-gzip")]))
post(BASE + "/things")
one("gzip with two members", type="thing.made", data=EXACT)
backend.on(BASE + "/things", answering(200, zlib.compress(EXACT), [("Content-Encoding", "deflate")]))
post(BASE + "/things")
one("deflate", type="thing.made", data=EXACT)
deflater = zlib.compressobj(wbits=-15)
backend.on(BASE + "/things", answering(200, deflater.compress(EXACT) + deflater.flush(),
                                       [("Content-Encoding", "deflate")]))
post(BASE + "/things")
one("raw deflate", type="thing.made", data=EXACT)
backend.on(BASE + "/things", answering(200, gzip.compress(EXACT)[:-9],
                                       [("Content-Encoding", "gzip")]))
post(BASE + "/things")
one("truncated gzip", type="thing.made", data=b'{"key":null,"truncated":true}')
backend.on(BASE + "/things", answering(200, b"not gzip", [("Content-Encoding", "gzip")]))
post(BASE + "/things")
one("a body that is not gzip", type="thing.made", data=b'{"key":null}')
backend.on(BASE + "/things", answering(200, gzip.compress(b'"' + b"0" * 1000000 + b'"'),
                                       [("Content-Encoding", "gzip")]))
post(BASE + "/things")
one("a gzip bomb", type="thing.made", data=b'{"key":null,"truncated":true}')
backend.on(BASE + "/things", answering(200, b"?", [("Content-Encoding", "br")]))
for accept, seen in (("br", "identity"), ("gzip, br;q=0.5, zstd", "gzip"), ("*", "identity"),
                     ("gzip;q=0.5, *;q=0", "gzip;q=0.5, *;q=0"), ("br, *;q=0", "br, *;q=0"),
                     ("gzip, deflate", "gzip, deflate")):
    post(BASE + "/things", fields=[("Accept-Encoding", accept)])
    is_(backend.seen[-1].head.get("Accept-Encoding"), seen, f"the backend is asked for {seen}")
    one("an unknown coding", type="thing.made", data=b'{"key":null}')
post(BASE + "/elsewhere", fields=[("Accept-Encoding", "br")])
is_(backend.seen[-1].head.get("Accept-Encoding"), "br",
    "without a rule Accept-Encoding is unchanged")

# Size
for size, cut in ((5000, False), (5001, True)):
    body = b'"' + b"x" * (size - 2) + b'"'
    backend.on(BASE + "/things/9", answering(200, body))
    answer = post(BASE + "/things/9", method="PUT")
    is_(answer.body, body, f"{size} bytes arrive")
    one(f"{size} bytes", type="thing.changed", key="9",
        data=b'{"key":"9","truncated":true}' if cut else body)
ok(httpd.wait_log("RH0611"), "too large a body is logged")

# request
backend.on(BASE + "/sent", answering(200, b"<p>thanks</p>"))
for name, body in (("with a length", EXACT), ("in chunks", [EXACT[:5], 0.05, EXACT[5:]])):
    post(BASE + "/sent", body)
    is_(backend.seen[-1].body, EXACT, f"the backend gets the request {name}")
    one(f"data=request {name}", type="sent.made", data=EXACT, key="7")
post(BASE + "/sent", b"")
one("an empty request", type="sent.made", data=b'{"key":null}')
post(BASE + "/sent", b"a=b")
one("a form", type="sent.made", data=b'{"key":null}')
post(BASE + "/sent", gzip.compress(EXACT), [("Content-Encoding", "gzip")])
one("a gzip request", type="sent.made", data=EXACT)
large = b'"' + b"x" * 300000 + b'"'
post(BASE + "/sent", large)
is_(backend.seen[-1].body, large, "the backend gets all of a large request")
one("a large request", type="sent.made", data=b'{"key":null,"truncated":true}')
backend.on(BASE + "/sent", answering(422, b"{}"))
post(BASE + "/sent")
is_(events.new(), [], "a refused request makes no event")

# before
backend.on(f"GET {BASE}/things/9", answering(200, EXACT, [("Set-Cookie", "internal=1")]))
backend.on(f"DELETE {BASE}/things/9", answering(204))
backend.seen.clear()
answer = post(BASE + "/things/9?force=1", b'{"why":"left"}', method="DELETE", fields=[
    ("Content-Type", "application/json"), ("If-Match", '"x"'), ("Range", "bytes=0-1"),
    ("Accept-Encoding", "br"), ("Authorization", "Basic YTpi"), ("Expect", "100-continue"),
    ("X-HTTP-Method-Override", "DELETE"), ("X-Other", "kept")])
is_((answer.status, answer.head.get("Set-Cookie"), answer.body), (204, None, b""),
    "the client gets the response to its DELETE")
one("data=before", type="thing.dropped", data=EXACT, key="9")
is_([(e.method, e.target, e.body) for e in backend.seen],
    [("GET", BASE + "/things/9?force=1", b""),
     ("DELETE", BASE + "/things/9?force=1", b'{"why":"left"}')], "the GET comes before the DELETE")
get, delete = backend.seen
for field in ("Content-Type", "Content-Length", "If-Match", "Range", "Accept-Encoding", "Expect",
              "X-HTTP-Method-Override", "Transfer-Encoding"):
    is_(get.head.get(field), None, f"the GET has no {field}")
for field in ("Authorization", "X-Other"):
    ok(get.head.get(field), f"the GET has {field}")
for field in ("Content-Type", "If-Match", "Range", "Accept-Encoding", "X-HTTP-Method-Override"):
    ok(delete.head.get(field), f"the DELETE has {field}")
for name, script in (("404", answering(404, b'{"id":1}')), ("HTML", answering(200, b"<p>")),
                     ("a dropped connection", lambda e: False),
                     ("a response that is cut short", lambda e: e.answer(
                         200, b"", [("Content-Length", "100")], length=False))):
    backend.on(f"GET {BASE}/things/9", script)
    httpd.expect("proxy")
    answer = post(BASE + "/things/9", b"", method="DELETE")
    is_(answer.status, 204, f"the client sees its 204 after {name}")
    one(f"data=before and {name}", type="thing.dropped", key="9", data=b'{"key":"9"}')
backend.on(f"GET {BASE}/things/9", answering(200, large))
post(BASE + "/things/9", b"", method="DELETE")
one("data=before with a large body", type="thing.dropped", data=b'{"key":"9","truncated":true}')
backend.on(f"GET {BASE}/things/9", lambda e: e.send(
    b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
answer = post(BASE + "/things/9", b"", method="DELETE")
is_((answer.interim, answer.status), ([], 204), "the client gets nothing of the internal GET")
one("data=before in chunks", type="thing.dropped", data=b"{}")

# after
backend.on(f"GET {BASE}/after", answering(200, EXACT))
backend.on(f"PUT {BASE}/after", answering(200, b'{"ignored":1}'))
answer = post(BASE + "/after", method="PUT")
is_(answer.body, b'{"ignored":1}', "the client gets the response to its PUT")
one("data=after", type="after.made", data=EXACT, key="7")
backend.on("/employers/acme/new/5", answering(200, b'{"id":5}'))
for location in ("/employers/acme/new/5", "new/5", "http://localhost/employers/acme/new/5",
                 "https://localhost:443/employers/acme/new/5",
                 f"http://localhost:{httpd.port}/employers/acme/new/5",
                 f"//localhost:{httpd.port}/employers/acme/new/5"):
    backend.on(f"POST {BASE}/after", answering(201, b"", [("Location", location)]))
    answer = post(BASE + "/after")
    is_(answer.head.get("Location"), location, "the client gets the Location")
    one(f"Location {location}", type="after.made", data=b'{"id":5}', key="5")
other = RawBackend()
other.on("/employers/acme/new/5", answering(200, b'{"stolen":1}'))
for location in ("http://example.com/employers/acme/new/5",
                 f"http://localhost:{other.port}/employers/acme/new/5", "ftp://localhost/x", "#x", "?x", "",
                 "http://[", "/hooks/subscriptions"):
    backend.on(f"POST {BASE}/after", answering(201, b"", [("Location", location)]))
    post(BASE + "/after")
    one(f"a Location of {location!r} is not followed", type="after.made", data=b'{"key":null}')
backend.on(f"POST {BASE}/after", answering(200))
post(BASE + "/after")
one("a 200 without a body: the URL itself is fetched", type="after.made", data=EXACT)

# Several rules
backend.on(f"GET {BASE}/both", answering(200, b'"after"'))
backend.on(f"POST {BASE}/both", answering(200, b'"response"'))
backend.seen.clear()
post(BASE + "/both", b'"request"')
is_([(e.type, e.data) for e in events.new()],
    [("both.first", b'"response"'), ("both.second", b'"request"'), ("both.third", b'"after"')],
    "each rule that matches makes an event, in the order of the rules")
is_(len(backend.seen), 2, "one internal GET serves both rules")

# status=, when=, tenant=
for status in (200, 201, 202, 404, 409, 500, 503):
    path = f"{BASE}/status/{status}"
    backend.on(path, answering(status, b"{}"))
    is_(post(path).status, status, f"the client sees {status}")
    is_([e.type for e in events.new()], ["some.status"] if status in (202, 409, 500, 503) else [],
        f"status= and {status}")
for colour, kind, count in (("red", "good", 1), ("red", "bad", 0), ("blue", "good", 0)):
    backend.on(f"{BASE}/when/{colour}", answering(200, b"{}", [("X-Kind", kind)]))
    answer = post(f"{BASE}/when/{colour}")
    is_(answer.head.get("Vary"), None, "when= adds no Vary")
    is_(len(events.new()), count, f"when= and {colour}, {kind}")
for tenant in ("acme", "other"):
    backend.on(f"/employers/{tenant}/tenant", answering(200, b"{}"))
    backend.on("/employers/default", answering(200, b"{}"))
    post(f"/employers/{tenant}/tenant")
    is_([e.type for e in events.new(tenant)], ["some.tenant"], f"tenant= gives {tenant}")
    post("/employers/default", fields=[("X-Tenant", tenant)])
    is_([e.type for e in events.new(tenant)], ["some.default"], f"RestHooksTenant gives {tenant}")
is_(post("/employers/default").status, 200, "the client is served although there is no tenant")
ok(httpd.wait_log("RH0603"), "the missing tenant is logged")
backend.on("/employers/%01/tenant", answering(200, b"{}"))
is_(post("/employers/%01/tenant").status, 200,
    "the client is served although the tenant is not a valid name")
ok(httpd.wait_log("RH0604"), "the invalid tenant is logged")
is_([e for t in ("acme", "other") for e in events.new(t)], [], "no event is stored")

# Methods
backend.on(BASE + "/get", answering(200, b"{}"))
for method, types in (("GET", ["any.get"]), ("PURGE", ["any.purge"]), ("HEAD", []), ("get", []),
                      ("OPTIONS", [])):
    post(BASE + "/get", b"", method=method)
    is_([e.type for e in events.new()], types, f"{method} gives {types}")

# Responses that httpd makes itself
answer = post("/employers/acme/things/../../acme/things")
is_([e.type for e in events.new()], ["thing.made"], "a path is normalised before rules are matched")

done_testing()
