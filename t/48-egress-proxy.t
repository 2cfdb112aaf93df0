#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""RestHooksEgressProxy: http targets by absolute-form, https targets by CONNECT; login and
exceptions."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from listener import Listener  # noqa: E402

import socket
import tempfile
import threading


class Proxy:
    """A forwarding HTTP proxy; remembers the request lines."""

    def __init__(self):
        self.lines = []
        self.refuse = False
        self.login = "Basic aG9va3M6YTpi"  # hooks:a:b
        self.port = Listener(self._serve).port

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                client.close()
                return
            head += piece
        line, rest = head.split(b"\r\n", 1)
        self.lines.append(line.decode())
        method, target, version = line.decode().split()
        if b"\r\nProxy-Authorization: %s\r\n" % self.login.encode() not in head:
            client.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        if self.refuse:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
            server = socket.create_connection((host.strip("[]"), int(port)), 10)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            host, path = target[len("http://"):].split("/", 1)
            server = socket.create_connection((host.rsplit(":", 1)[0], int(host.rsplit(":", 1)[1])),
                                              10)
            server.sendall(f"{method} /{path} {version}\r\n".encode() + rest)
        there = threading.Thread(target=self._copy, args=(client, server), daemon=True)
        there.start()
        self._copy(server, client)

    @staticmethod
    def _copy(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


authority, proxy = Authority(), Proxy()
login = os.path.join(tempfile.mkdtemp(), "login")
with open(login, "w", encoding="utf-8") as file:
    file.write("hooks:a:b\n")
os.chmod(login, 0o600)
plain, secure = Receiver(), Receiver(tls=authority.context())
httpd = Httpd(retry="1s", extra=f"""
    RestHooksEventType some.thing "a thing"
    RestHooksTLSCAFile {authority.file}
    RestHooksEgressProxy http://127.0.0.1:{proxy.port} auth={login} except=.localhost,192.0.2.0/24
""")
api, app = httpd.api(), httpd.api(role="app")
over_http = api.subscribe(plain.url + "/in?a=b", ["some.thing"])
over_https = api.subscribe(secure.url + "/in", ["some.thing"])
denied = api.subscribe("https://localhost.:1/in", ["some.thing"])
api.delete("/subscriptions/" + denied["id"])
excepted = api.subscribe(f"http://in.localhost:{plain.port}/around", ["some.thing"])
app.post("/events", {"type": "some.thing", "data": {"n": 1}})

got = plain.wait_for(1, "/around")
is_(len(got), 1, "an excepted target is reached")
ok(not any("/around" in line for line in proxy.lines), "it is reached without the proxy")
api.delete("/subscriptions/" + excepted["id"])
got = plain.wait_for(1, "/in")
is_(len(got), 1, "an http target is reached")
ok(verify(over_http["secret"], got[0].headers, got[0].body), "signed")
is_(got[0].headers["Host"], f"127.0.0.1:{plain.port}", "as itself")
ok(f"POST {plain.url}/in?a=b HTTP/1.1" in proxy.lines, "the proxy gets the target in absolute-form")
got = secure.wait_for(1, "/in")
is_(len(got), 1, "an https target is reached")
ok(verify(over_https["secret"], got[0].headers, got[0].body), "signed")
ok(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1" in proxy.lines, "through the proxy, by CONNECT")

proxy.refuse = True
httpd.request("GET", "/")  # ends kept connections
for server in (plain, secure):
    server.clear()
api.patch("/subscriptions/" + over_http["id"], {"active": False})
fresh = api.subscribe(secure.url + "/fresh", ["some.thing"])
app.post("/events", {"type": "some.thing", "data": {"n": 2}})
rows = wait_until(lambda: [d for d in api.deliveries(fresh["id"], "?state=failed")])
ok(rows, "a delivery that the proxy refuses fails")
error = api.get("/deliveries/" + rows[0]["id"]).json["attempts"][0]["error"] if rows else ""
like(error, r"(?i)proxy.*403", f"the attempt's error says so ({error})")
ok(not secure.received("/fresh"), "nothing bypasses the proxy")

proxy.refuse, proxy.login = False, "Basic something-else"
fresh = api.subscribe(secure.url + "/login", ["some.thing"])
app.post("/events", {"type": "some.thing", "data": {"n": 3}})
rows = wait_until(lambda: [d for d in api.deliveries(fresh["id"], "?state=failed")])
error = api.get("/deliveries/" + rows[0]["id"]).json["attempts"][0]["error"] if rows else ""
like(error, r"proxy refused the login \(407\)",
     f"the error names a login that the proxy refuses ({error})")
done_testing()
