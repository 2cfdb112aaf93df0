#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A client sees the same response to a captured request as without the module."""

import gzip
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw, read_answer

# The same URLs, captured in each way.
KINDS = ("response", "request", "before", "after")
METHODS = "GET,HEAD,POST,PUT,DELETE"
RULES = "\n".join(
    f'RestHooksEvent seen.{kind} {METHODS} "^/employers/(?<tenant>[^/]+)/{kind}/" '
    f"status=2xx,3xx,404,503 data={kind}" for kind in KINDS)
EXTRA = """
    ProxyPass /switch {backend}/switch upgrade=websocket
    ProxyPass /override {backend}/override
    RequestHeader set X-Proxied yes
    Header set X-Added by-httpd
    <Location /employers/acme/response/deflated>
        SetOutputFilter DEFLATE
    </Location>
    <Location /override>
        ProxyErrorOverride On
        ErrorDocument 404 /instead
        ErrorDocument 503 "not now"
    </Location>
    ProxyPass /instead {backend}/instead
"""
MORE_RULES = r"""
    RestHooksEvent every.option GET,HEAD,POST,PUT,DELETE "^/employers/(?<tenant>[^/]+)/every/(?<key>.*)$" \
        status=1xx,2xx,3xx,4xx,5xx data=after:$ each=$ key=$.id "id=%{req:X-Id}" with=before \
        unless=unchanged "url=/employers/%{env:MATCH_TENANT}/every/%{env:MATCH_KEY}" \
        "when=-z item('$.no') && -z request('$.no') && -z response('$.no') && -z before('$.no') && \
        -z after('$.no') && ! -T changed('$.no')"
    RestHooksEvent every.answer GET,HEAD,POST,PUT,DELETE "^/employers/(?<tenant>[^/]+)/every/(?<key>.*)$" \
        status=1xx,2xx,3xx,4xx,5xx data=response:$ each=$ unless=unchanged observe
    RestHooksEvent switch.asked GET "^/switch" tenant=acme
    RestHooksEvent override.seen POST "^/override/(?<key>\d+)$" tenant=acme status=2xx,404,503
"""

backend = RawBackend()
extra = EXTRA.format(backend=backend.url)
captured = Vhost(backend=backend, rules=RULES + MORE_RULES, extra=extra + "RestHooksMaxData 20000")
plain = Vhost(backend=backend, enabled=False, database=False, extra=extra)
httpd = Httpd(vhosts=[captured, plain])
events = Events(httpd)

JSON = b'{"id": 1.0, "name":"\\u00e9"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Case: Kept\r\n"
LARGE = b'"' + b"0123456789abcdef" * 60000 + b'"'


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def pieces(*parts, keep=True):
    def script(exchange):
        exchange.send(*parts)
        return keep
    return script


# The pauses decide what arrives together, and with that whether httpd sends a length or chunks.
SHAPES = {
    "a length": pieces(HEAD + b"Content-Length: %d\r\n\r\n" % len(JSON) + JSON),
    "a length, a few bytes at a time": pieces(HEAD, 0.05, b"Content-Length: %d\r\n\r\n" % len(JSON), 0.05,
                                 JSON[:5], 0.05, JSON[5:9], 0.05, JSON[9:]),
    "all chunks at once": pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(JSON[:9])
                             + chunk(JSON[9:]) + b"0\r\n\r\n"),
    "chunk by chunk": pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0.05, chunk(JSON[:9]),
                                0.05, chunk(JSON[9:]), 0.05, b"0\r\n\r\n"),
    "chunks and trailers": pieces(HEAD + b"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  + chunk(JSON), 0.05, b"0\r\nX-Sum: 1\r\n\r\n"),
    "no chunk": pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", 0.05, b"0\r\n\r\n"),
    "an end by close": pieces(HEAD + b"Connection: close\r\n\r\n" + JSON, 0.05, keep=False),
    "an end by close, a few bytes at a time": pieces(HEAD + b"\r\n", 0.05, JSON[:7], 0.05, JSON[7:], 0.05,
                                        keep=False),
    "HTTP/1.0": pieces(b"HTTP/1.0 200 Fine\r\nContent-Type: application/json\r\n\r\n" + JSON,
                       0.05, keep=False),
    "nothing": pieces(HEAD + b"Content-Length: 0\r\n\r\n"),
    "204": pieces(b"HTTP/1.1 204 No Content\r\nX-Case: Kept\r\n\r\n"),
    "304": pieces(b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n'),
    "201 and a Location": pieces(b"HTTP/1.1 201 Made\r\nLocation: /employers/acme/none/1\r\n"
                                 b"Content-Length: 0\r\n\r\n"),
    "302": pieces(b"HTTP/1.1 302 There\r\nLocation: /employers/acme/none/1\r\n"
                  b"Content-Length: 4\r\n\r\nover"),
    "206": pieces(b"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\n{}"),
    "401": pieces(b'HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm="x"\r\n'
                  b"Content-Length: 2\r\n\r\nno"),
    "404": pieces(b"HTTP/1.1 404 Gone Fishing\r\nContent-Length: 2\r\n\r\nno"),
    "503": pieces(b"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"),
    "gzip": pieces(HEAD + b"Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\nContent-Length: "
                   + b"%d\r\n\r\n" % len(gzip.compress(JSON, mtime=0)) + gzip.compress(JSON, mtime=0)),
    "many fields": pieces(HEAD + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nLink: <x>; rel=a\r\n"
                          b'ETag: "v1"\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\n'
                          b"Cache-Control: no-store\r\nContent-Length: 2\r\n\r\n{}"),
    "early hints": pieces(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n", 0.05,
                          HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "a large length": pieces(HEAD + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE),
    "large chunks": pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                           *[chunk(LARGE[i:i + 30000]) for i in range(0, len(LARGE), 30000)],
                           b"0\r\n\r\n"),
}
BODY = b'{"sent": true}'


def compare(name, method, path, body=b"", fields=(), direct=True):
    """Expect the captured and the uncaptured response to be alike, and (direct) both to be like the
    backend's except for what httpd adds."""
    answers = [raw(port, method, path, body, fields) for port in (captured.port, plain.port)]
    is_(*[a.comparable() for a in answers], name)
    if direct:
        sent = raw(backend.port, method, path, body, fields)
        is_(*[(a.status, a.body, a.whole) for a in (answers[0], sent)], name + ", as it was sent")
    return answers[0]


for number, (name, script) in enumerate(SHAPES.items()):
    for kind in KINDS:
        path = f"/employers/acme/{kind}/{number}"
        backend.on(path, script)
        compare(f"{kind}: {name}", "POST", path, BODY, [("Content-Type", "application/json")])
found = events.new()
is_(len(found), len(KINDS) * (len(SHAPES) - 1), "every response was captured, except for the 401")
data = [e.data for e in found if e.type == "seen.response"][:5]
is_(data, [JSON] * 5, "with all of its bytes, however they arrived")

# The same with every option at once
for number, (name, script) in enumerate(SHAPES.items()):
    path = f"/employers/acme/every/{number}"
    backend.on(path, script)
    backend.on("GET " + path, pieces(HEAD + b"Content-Length: 8\r\n\r\n" + b'{"a": 1}'))
    for method in ("POST", "PUT", "DELETE"):
        compare(f"every option: {method}: {name}", method, path, BODY if method != "DELETE" else b"",
                [("Content-Type", "application/json"), ("Range", "bytes=0-1"), ("If-Match", '"x"')]
                if method == "PUT" else [], direct=False)
kinds = {row["type"] for row in events.rows()}
ok({"every.option", "every.answer"} <= kinds, "events were made")
events.skip()

WIDE = b'{"wide":"' + b"ab" * 500 + b'"}'
backend.on("/employers/acme/response/deflated",
           pieces(HEAD + b"Content-Length: %d\r\n\r\n" % len(WIDE) + WIDE))
for accept, coding in (("gzip", "gzip"), ("br, gzip", "gzip"), ("identity", None), ("br", None)):
    answer = compare(f"DEFLATE and Accept-Encoding: {accept}", "POST",
                     "/employers/acme/response/deflated", BODY, [("Accept-Encoding", accept)],
                     direct=False)
    is_(answer.head.get("Content-Encoding"), coding, f"DEFLATE encodes it as {coding}")
is_([e.data for e in events.new()], [WIDE] * 4, "the events have the backend's bytes")

# HEAD, GET, conditions and ranges
for kind in KINDS:
    path = f"/employers/acme/{kind}/0"
    backend.on("HEAD " + path, pieces(HEAD + b"Content-Length: 77\r\n\r\n"))
    answer = compare(f"{kind}: HEAD", "HEAD", path)
    is_(answer.head.get("Content-Length"), "77", "HEAD shows the length of GET's body")
    compare(f"{kind}: GET", "GET", path)
    answer = compare(f"{kind}: GET with a range, which httpd serves itself", "GET", path,
                     fields=[("Range", "bytes=0-3")], direct=False)
    is_((answer.status, answer.body), (206, JSON[:4]), "a range request gets that range")
    compare(f"{kind}: DELETE", "DELETE", path)
    compare(f"{kind}: a chunked PUT", "PUT", path, [BODY[:5], 0.05, BODY[5:]])
    compare(f"{kind}: a large PUT", "PUT", path, LARGE)
    is_(len(events.new()), 6, f"{kind}: all six are captured")


# 100-continue: the client waits until the backend has been asked.
def continue_client(port, path):
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        file = sock.makefile("rb")
        sock.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     f"Expect: 100-continue\r\nContent-Length: {len(BODY)}\r\n\r\n".encode())
        first = file.readline()
        if b" 100 " in first:
            file.readline()
            sock.sendall(BODY)
            return first, read_answer(file, "PUT").comparable()
        return first, None


for kind in KINDS:
    path = f"/employers/acme/{kind}/0"
    is_(*[continue_client(port, path) for port in (captured.port, plain.port)],
        f"{kind}: 100-continue")
is_(sorted(e.type for e in events.new()), sorted("seen." + kind for kind in KINDS),
    "all requests with 100-continue are captured")


# Several requests on one connection, sent at once; and an HTTP/1.0 client.
def pipeline(port):
    paths = [f"/employers/acme/{kind}/{number}" for kind in KINDS for number in (0, 2, 10, 9)]
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(b"".join(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
            + BODY for path in paths))
        file = sock.makefile("rb")
        return [read_answer(file, "POST").comparable() for _ in paths]


is_(*[[(a[1], a[3], a[4]) for a in pipeline(port)] for port in (captured.port, plain.port)],
    "16 pipelined requests")
is_(len(events.new()), 16, "are 16 events")


def old_client(port, path):
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        return [line for line in sock.makefile("rb").read().split(b"\r\n")
                if not line.startswith(b"Date")]


for number in (0, 2, 3, 6):
    is_(*[old_client(port, f"/employers/acme/response/{number}")
          for port in (captured.port, plain.port)], f"HTTP/1.0 client, shape {number}")
events.new()


# A switch of protocols is never held back.
def switch(exchange):
    exchange.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    for _ in range(3):
        exchange.send(b"<" + exchange.sock.recv(10) + b">")


backend.on("/switch", switch)


def switch_client(port):
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(b"GET /switch HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\n\r\n")
        file = sock.makefile("rb")
        answer = read_answer(file, "GET")
        echoes = []
        for text in (b"one", b"two", b"three"):
            sock.sendall(text)
            echoes.append(file.read(len(text) + 2))
        return answer.comparable(), echoes


is_(*[switch_client(port) for port in (captured.port, plain.port)],
    "the client gets 101 and the data after it")
is_(events.new(), [], "a 101 makes no event")

# Errors with httpd's own page
backend.on("/override/200", pieces(HEAD + b"Content-Length: 2\r\n\r\n{}"))
backend.on("/override/404", pieces(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"))
backend.on("/override/503", pieces(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"))
backend.on("/override/500", pieces(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"))
backend.on("/instead", pieces(HEAD + b'Content-Length: 11\r\n\r\n{"error":1}'))
for status, data in ((200, b"{}"), (404, b'{"error":1}'), (503, b'{"content_type":"text/html; charset=iso-8859-1","text":"not now"}'), (500, None)):
    answers = [raw(port, "POST", f"/override/{status}", BODY) for port in
               (captured.port, plain.port)]
    for answer in answers:  # httpd's page has the port in its signature
        answer.body = answer.body.replace(str(plain.port).encode(), str(captured.port).encode())
    is_(*[a.comparable() for a in answers], f"ProxyErrorOverride and {status}")
    is_([(e.data, e.key) for e in events.new()], [(data, str(status))] if data else [],
        f"an event by the status {status} that the client sees")

done_testing()
