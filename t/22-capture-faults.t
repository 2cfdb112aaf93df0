#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Capture while something fails or grows large."""

import hashlib
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw, read_head

KINDS = ("response", "request", "before", "after")
RULES = "\n".join(
    f'RestHooksEvent seen.{kind} GET,POST "^/employers/(?<tenant>[^/]+)/{kind}/(?<key>.*)$" '
    f"data={kind}" for kind in KINDS) + """
    RestHooksEvent seen.failure POST "^/employers/(?<tenant>[^/]+)/response/(?<key>.*)$" status=5xx
"""

backend = RawBackend()
# This backend closes connections at will, so httpd must not reuse them.
EXTRA = "SetEnv proxy-nokeepalive 1\n"
captured = Vhost(backend=backend, rules=RULES, extra=EXTRA + "RestHooksMaxData 100000")
plain = Vhost(backend=backend, enabled=False, database=False, extra=EXTRA)
httpd = Httpd(vhosts=[captured, plain], expect=[r"\[proxy(_http)?:error\]"])
events = Events(httpd)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"sent": true}'
BASE = "/employers/acme"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def pieces(*parts, keep=False):
    def script(exchange):
        exchange.send(*parts)
        return keep
    return script


def reset(exchange):
    exchange.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def seen():
    return sorted((e.type, e.data) for e in events.new())


def cut(name):
    return b'{"key":"%s","truncated":true}' % name


# The backend dies.
BREAKS = {
    "length": (pieces(HEAD + b"Content-Length: 100\r\n\r\n" + b'{"a":', 0.1), cut(b"length")),
    "chunks": (pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b'{"a":'), 0.1,
                      chunk(b"1}"), 0.1), cut(b"chunks")),
    "chunk": (pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{}", 0.1), cut(b"chunk")),
    # The bytes so far are JSON, but they may not be complete.
    "whole": (pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"{}"), 0.1),
              cut(b"whole")),
}
for name, (script, data) in BREAKS.items():
    for kind in ("response", "request"):
        path = f"{BASE}/{kind}/{name}"
        backend.on(path, script)
        is_(*[raw(port, "POST", path, BODY).comparable() for port in (captured.port, plain.port)],
            f"{kind}: the backend dies in its {name}; the client sees the same as without us")
        is_(seen(), [("seen." + kind, data if kind == "response" else BODY)],
            f"{kind}: and the event says what is known")
        is_(raw(captured.port, "POST", path, BODY).whole, False,
            "the client notices that the response is incomplete")
        events.new()


def die_after_keepalive(port, path):
    """Send two requests on a connection; the second finds the backend dead."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        file = sock.makefile("rb")
        for target in (BASE + "/response/fine", path):
            sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            head = read_head(file)
            if head is None:
                return "closed", file.read()
            body = file.read(int(head.get("Content-Length")))
        return head.line, body.replace(str(plain.port).encode(), str(captured.port).encode())


backend.on(BASE + "/response/fine", pieces(HEAD + b"Content-Length: 2\r\n\r\n{}", keep=True))
for name, script in (("eof", lambda e: False), ("reset", reset)):
    path = f"{BASE}/response/{name}"
    backend.on(path, script)
    is_([raw(port, "POST", path, BODY).status for port in (captured.port, plain.port)], [502, 502],
        f"{name} instead of a response is a 502")
    found = seen()
    is_([event[0] for event in found], ["seen.failure"], "a rule for failures captures it")
    like(found[0][1].decode(), r'^\{"content_type":"text/html; charset=iso-8859-1","text":".*502 Proxy',
         "with httpd's own error page")
    is_(*[die_after_keepalive(port, path) for port in (captured.port, plain.port)],
        f"{name} on a kept connection is for the client what it is without us")
    is_([t for t in seen() if t[0] == "seen.response"], [("seen.response", b"{}")],
        "only the complete response makes an event of the other rule")


# The client disconnects, but the backend has already acted.
def leave(path, wait, body=BODY):
    with socket.create_connection(("127.0.0.1", captured.port), 20) as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
                     .encode() + body)
        if wait:
            sock.recv(wait)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


for kind in KINDS:
    path = f"{BASE}/{kind}/slow"
    backend.on("GET " + path, pieces(HEAD + b"Content-Length: 2\r\n\r\n[]"))
    backend.on("POST " + path, pieces(0.5, HEAD + b"Content-Length: 10\r\n\r\n" + b'"a', 0.3,
                                      b'234567"  '))
    leave(path, 0)
    found = wait_until(seen)
    is_(found, [("seen." + kind, {"response": b'"a234567" ', "request": BODY}.get(kind, b"[]"))],
        f"{kind}: an event is not lost because its client does not wait")
    path = f"{BASE}/{kind}/upload"
    backend.on(path, pieces(HEAD + b"Content-Length: 2\r\n\r\n{}"))
    with socket.create_connection(("127.0.0.1", captured.port), 20) as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n".encode()
                     + b"x" * 20000)
time.sleep(1)
is_(seen(), [], "an interrupted request makes no event")

# Early responses: the backend does not read the whole request.
path = BASE + "/request/early"
backend.unread.add(path)
backend.on(path, pieces(HEAD + b"Content-Length: 2\r\n\r\n{}", 2))
answer = raw(captured.port, "POST", path, [b"[1,", 1, b"2]"])
is_((answer.status, answer.body), (200, b"{}"), "the client gets the early response")
ok(seen() in ([("seen.request", b"[1,2]")], [("seen.request", cut(b"early"))]),
   "its event never has an incomplete request")

# Large responses are passed on and not kept.
MEGABYTES = 100
BLOCK = bytes(range(256)) * 256


def large(exchange):
    exchange.send(HEAD + b"Content-Length: %d\r\n\r\n" % (MEGABYTES << 20))
    for _ in range(MEGABYTES * 16):
        exchange.sock.sendall(BLOCK)


def large_chunked(exchange):
    exchange.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(MEGABYTES * 16):
        exchange.sock.sendall(chunk(BLOCK))
    exchange.send(b"0\r\n\r\n")


def digest(path):
    result = hashlib.sha256()
    with socket.create_connection(("127.0.0.1", captured.port), 60) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        file = sock.makefile("rb")
        head = read_head(file)
        chunked = head.get("Content-Length") is None
        left = MEGABYTES << 20
        while left > 0:
            size = int(file.readline(), 16) if chunked else left
            left -= size
            while size > 0:
                data = file.read(min(size, 1 << 16))
                if not data:
                    return None
                size -= len(data)
                result.update(data)
            if chunked:
                file.readline()
        if chunked and file.read() != b"0\r\n\r\n":
            return None
    return result.hexdigest()


expected = hashlib.sha256()
for _ in range(MEGABYTES * 16):
    expected.update(BLOCK)


def memory():
    return sum(httpd.memory(pid) for pid in httpd.children())


for kind in ("none",) + KINDS:
    for name, script in (("large", large), ("largechunks", large_chunked)):
        backend.on(f"{BASE}/{kind}/{name}", script)
        before = memory()
        is_(digest(f"{BASE}/{kind}/{name}"), expected.hexdigest(),
            f"{kind}: {MEGABYTES} MB arrive ({name})")
        grown = memory() - before
        if not SANITIZED:
            ok(grown < 16000, f"{kind}: without being kept in memory ({grown} kB)")
        is_(seen(), {"none": [], "request": [("seen.request", b'{"key":"%s"}' % name.encode())]}
            .get(kind, [("seen." + kind, cut(name.encode()))]), f"{kind}: and the event says so")

# Many tiny chunks cost more memory than their bytes: such a response isn't held without limit.
DROPS = 3000
path = BASE + "/response/drops"
backend.on(path, pieces(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk(b" ")] * DROPS,
                        chunk(b"1") + b"0\r\n\r\n"))
answer = raw(captured.port, "GET", path)
is_(answer.body, b" " * DROPS + b"1", "a response of many small chunks arrives")
ok(seen()[0][1] in (b" " * DROPS + b"1", cut(b"drops")), "it makes an event")

# Many requests at once: each event has its own data.
CLIENTS, EACH = 24, 20
for client in range(CLIENTS):
    for kind in KINDS:
        backend.on(f"{BASE}/{kind}/{client}", lambda e: e.answer(
            200, b'{"path":"%s","method":"%s"}' % (e.target.encode(), e.method.encode())) or True)
wrong = []


def run(client):
    for i in range(EACH):
        path = f"{BASE}/{KINDS[i % 4]}/{client}"
        answer = raw(captured.port, "POST", path, b'{"number":%d,"client":%d}' % (i, client))
        if answer.body != b'{"path":"%s","method":"POST"}' % path.encode():
            wrong.append((path, answer.status, answer.body))


threads = [threading.Thread(target=run, args=(client,)) for client in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
is_(wrong, [], f"{CLIENTS} clients at once get each its own answers")
expected = sorted(
    (f"seen.{kind}", (b'{"number":%d,"client":%d}' % (i, client)) if kind == "request" else
     b'{"path":"%s/%s/%d","method":"%s"}' % (BASE.encode(), kind.encode(), client,
                                             b"POST" if kind == "response" else b"GET"))
    for client in range(CLIENTS) for i in range(EACH) for kind in (KINDS[i % 4],))
is_(seen(), expected, f"each of {CLIENTS * EACH} events has its own data")

done_testing()
