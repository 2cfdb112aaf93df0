#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Capture together with other parts of httpd: caches, CGI, FastCGI, internal redirects, HTTP/2,
streams."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw, read_head
from listener import Listener

KINDS = ("response", "request", "before", "after")
MODULES = ["cache", "socache_shmcb", "cache_socache", "cgid", "proxy_fcgi"]
if MPM != "prefork":  # in which mod_http2 does nothing
    MODULES.append("http2")
FOLDER = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
missing = [name for name in MODULES if not os.path.exists(f"{FOLDER}/mod_{name}.so")]
if missing:
    skip_all(f"httpd has no {missing}")

RULES = "\n".join(
    f'RestHooksEvent seen.{kind} GET,POST,PUT,DELETE '
    f'"^/(employers|cached)/(?<tenant>[^/]+)/{kind}/(?<key>.*)$" data={kind}'
    for kind in KINDS) + r"""
    RestHooksEvent script.before PUT "^/cgi/(?<key>.*)$" tenant=acme data=before
    RestHooksEvent script.after  PUT "^/cgi/(?<key>.*)$" tenant=acme data=after
    RestHooksEvent fast.before PUT "^/fastcgi/(?<key>.*)$" tenant=acme data=before
    RestHooksEvent fast.after  PUT "^/fastcgi/(?<key>.*)$" tenant=acme data=after
    RestHooksEvent script.answer POST "^/cgi/(?<key>.*)$" tenant=acme
    RestHooksEvent script.sent POST,DELETE "^/cgi/(?<key>.*)$" tenant=acme data=request
"""
JSON_TYPE = r"printf 'Content-Type: application/json\r\n\r\n'"
SCRIPTS = {
    "cat.cgi": JSON_TYPE + "\nprintf '\"%s %s\"' $REQUEST_METHOD \"$(cat)\"",
    "moved.cgi": r"if [ $REQUEST_METHOD = GET ]; then printf 'Location: /cgi/cat.cgi\r\n\r\n'; else "
                 + JSON_TYPE + "; cat; fi",
    "lost.cgi": r"if [ $REQUEST_METHOD = GET ]; then printf 'Location: /cgi/none\r\n\r\n'; else "
                + JSON_TYPE + "; cat; fi",
    "away.cgi": r"cat >/dev/null; printf 'Location: /cgi/cat.cgi\r\n\r\n'",
}


class FastCgi:
    """Respond to each request with its method."""

    def __init__(self):
        listener = Listener(self._serve)
        self.url = f"fcgi://127.0.0.1:{listener.port}"
        at_end(listener.close)

    @staticmethod
    def _serve(sock):
        def record(kind, data):
            return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data

        with sock, sock.makefile("rb") as file:
            params = b""
            while len(head := file.read(8)) == 8:
                _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", head)
                data = file.read(length + padding)[:length]
                if kind == 4:  # FCGI_PARAMS
                    params += data
                elif kind == 5 and not data:  # the end of FCGI_STDIN
                    method = params.partition(b"REQUEST_METHOD")[2][:3]
                    sock.sendall(record(6, b'Content-Type: application/json\r\n\r\n"%s"' % method)
                                 + record(6, b"") + record(3, bytes(8)))
                    return


backend, fastcgi = RawBackend(), FastCgi()
httpd = Httpd(
    config="\n".join(f"LoadModule {name}_module {FOLDER}/mod_{name}.so" for name in MODULES)
    + "\nScriptSock cgisock\n", backend=backend, rules=RULES, start=False, expect=["script not found"])
httpd.vhosts[0].extra = f"""
    {"" if MPM == "prefork" else "Protocols h2c http/1.1"}
    ProxyPass /cached {backend.url}/cached
    CacheEnable socache /cached
    CacheSocache shmcb:run/cache
    ProxyPass /fastcgi {fastcgi.url}/fastcgi max=1
    ScriptAlias /cgi {httpd.path("cgi")}
    <Directory {httpd.path("cgi")}>
        Require all granted
    </Directory>
"""
httpd.write_config()
os.mkdir(httpd.path("cgi"))
for name, text in SCRIPTS.items():
    with open(httpd.path("cgi", name), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(httpd.path("cgi", name), 0o755)
httpd.start()
events = Events(httpd)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BODY = b'{"sent": true}'


def seen():
    return sorted((e.type, e.data) for e in events.new())


# mod_cache also serves the internal GETs unless told otherwise.
for kind in KINDS:
    path = f"/cached/acme/{kind}/thing"
    version = [1]

    def script(exchange, version=version):
        version[0] += exchange.method == "PUT"
        exchange.answer(200, b'{"version":%d}' % version[0], [("Cache-Control", "max-age=600")])
        return True

    backend.on(path, script)
    for _ in range(2):
        is_(raw(httpd.port, "GET", path).body, b'{"version":1}', f"{kind}: a cached GET")
    is_(len(backend.to(path, "GET")), 2 if kind in ("before", "after") else 1,
        "the internal GET can be served from a cache")
    events.new()
    for number in (2, 3):
        answer = raw(httpd.port, "PUT", path, BODY)
        is_(answer.body, b'{"version":%d}' % number,
            f"{kind}: the client of a PUT sees what the backend answers, and nothing of a cache")
        is_(seen(), [("seen." + kind, BODY if kind == "request" else
                      b'{"version":%d}' % (number - (kind == "before")))],
            f"{kind}: and the event has what is there now, not what is cached")

# CGI: the internal GET is redirected internally, and consumes nothing of the request.
for name, data in (("moved.cgi", b'"GET "'), ("lost.cgi", b'{"key":"lost.cgi"}')):
    for body in (BODY, [BODY[:4], BODY[4:]]):
        answer = raw(httpd.port, "PUT", "/cgi/" + name, body)
        is_((answer.status, answer.head.get("Content-Type"), answer.body),
            (200, "application/json", BODY), f"{name}: the client gets the script's answer")
        is_(seen(), [("script.after", data), ("script.before", data)],
            f"{name}: the events have what the internal GETs came to")
answer = raw(httpd.port, "POST", "/cgi/away.cgi", BODY)
is_(answer.body, b'"GET "', "a script that redirects internally responds")
is_(seen(), [("script.answer", b'"GET "'), ("script.sent", BODY)], "its request is captured once")
raw(httpd.port, "DELETE", "/cgi/cat.cgi")
is_(seen(), [("script.sent", b'{"key":"cat.cgi"}')], "a request without a body has no data")

# FastCGI: its handler may hold the only connection to the backend until it returns.
try:
    is_(raw(httpd.port, "PUT", "/fastcgi/1", BODY).body, b'"PUT"',
        "a PUT to FastCGI gets its response")
except TimeoutError:
    ok(False, "the internal GET does not wait for a connection that its own request holds")
is_(seen(), [("fast.after", b'"GET"'), ("fast.before", b'"GET"')],
    "the result of the GET is captured")

# HTTP/2
curl = shutil.which("curl")
if MPM != "prefork" and curl and b"HTTP2" in subprocess.run([curl, "--version"], capture_output=True, check=False).stdout:
    def http2(path, *args):
        done = subprocess.run([curl, "-sS", "--http2-prior-knowledge", "-w", " %{http_version}",
                               *args, httpd.url + path], capture_output=True, timeout=60, check=False)
        return done.stdout or done.stderr

    for kind in KINDS:
        path = f"/employers/acme/{kind}/h2"
        backend.on(path, lambda e: e.answer(200, b'{"by":"%s"}' % e.method.encode()) or True)
        for method in ("PUT", "DELETE"):
            args = ["-X", method] + (["-d", BODY.decode()] if method == "PUT" else [])
            is_(http2(path, *args), b'{"by":"%s"} 2' % method.encode(), f"{kind}: {method} by HTTP/2")
            data = {"response": b'{"by":"%s"}' % method.encode(),
                    "request": BODY if method == "PUT" else b'{"key":"h2"}'}
            is_(seen(), [("seen." + kind, data.get(kind, b'{"by":"GET"}'))],
                f"{kind}: {method} by HTTP/2 is captured")
    like(http2("/hooks/subscriptions", "-H", "X-Tenant: acme").decode(), r'^\[\{"id".* 2$',
         "the API speaks HTTP/2")
else:
    skip("HTTP/2", "curl or the MPM has no HTTP/2")


# Streams: the client gets data as soon as it arrives.
def streaming(content_type, piece, arrived, ended):
    """Send pieces until the client has received one, then the last; `ended` is set if it did."""
    def script(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
                      % content_type)
        for _ in range(200):
            exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            if arrived.wait(0.3):
                ended.append(True)
                break
        exchange.send(b"0\r\n\r\n")
        return True
    return script


def watch_stream(path, arrived, method="GET"):
    with socket.create_connection(("127.0.0.1", httpd.port), 120) as sock:
        file = sock.makefile("rb")
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        read_head(file)
        file.readline()
        arrived.set()
        file.read()


for kind in KINDS:
    path = f"/employers/acme/{kind}/sse"
    arrived, ended = threading.Event(), []
    script = streaming(b"text/event-stream; charset=utf-8", b"data: 1\n\n", arrived, ended)
    backend.on(path, script)
    backend.on("GET " + path, streaming(b"text/event-stream", b"data: 1\n\n", threading.Event(), [])
               if kind in ("before", "after") else script)
    watch_stream(path, arrived, "POST")
    is_(ended, [True], f"{kind}: Server-Sent Events reach the client while they come")
    data = b'{"key":"sse","truncated":true}' if kind == "after" else b'{"key":"sse"}'
    is_(seen(), [("seen." + kind, data)], f"{kind}: an event tells that there was a stream")

# The same for a response, and for internal GETs, that take too long.
ended = {}
threads = []
for kind in KINDS:
    path = f"/employers/acme/{kind}/long"
    arrived, ended[kind] = threading.Event(), []
    backend.on("POST " + path, streaming(b"application/json", b" ", arrived, ended[kind]))
    backend.on("GET " + path, streaming(b"application/json", b" ", threading.Event(), []))
    threads.append(threading.Thread(target=watch_stream, args=(path, arrived, "POST")))
    threads[-1].start()
for thread in threads:
    thread.join()
is_(ended, {kind: [True] for kind in KINDS},
    "a response is not held without limit, and does not wait for a GET without limit")
is_(seen(), [("seen.after", b'{"key":"long"}'), ("seen.before", b'{"key":"long"}'),
             ("seen.request", b'{"key":"long"}'),
             ("seen.response", b'{"key":"long","truncated":true}')], "all requests make events")

done_testing()
