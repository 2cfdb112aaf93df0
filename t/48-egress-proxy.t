#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""RestHooksEgressProxy: plain targets by absolute-form, https ones by CONNECT."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

import socket
import threading


class Proxy:
    """A forwarding HTTP proxy; remembers the request lines."""

    def __init__(self):
        self.lines = []
        self.refuse = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

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
plain, secure = Receiver(), Receiver(tls=authority.context())
httpd = Httpd(retry="1s", extra=f"""
    RestHooksEventType some.thing "a thing"
    RestHooksTLSCAFile {authority.file}
    RestHooksEgressProxy http://127.0.0.1:{proxy.port}
""")
api, app = httpd.api(), httpd.api(role="app")
over_http = api.subscribe(plain.url + "/in?a=b", ["some.thing"])
over_https = api.subscribe(secure.url + "/in", ["some.thing"])
denied = api.subscribe("https://localhost.:1/in", ["some.thing"])
api.delete("/subscriptions/" + denied["id"])
app.post("/events", {"type": "some.thing", "data": {"n": 1}})

got = plain.wait_for(1, "/in")
is_(len(got), 1, "a plain target is reached")
ok(verify(over_http["secret"], got[0].headers, got[0].body), "signed")
is_(got[0].headers["Host"], f"127.0.0.1:{plain.port}", "as itself")
ok(f"POST {plain.url}/in?a=b HTTP/1.1" in proxy.lines, "through the proxy, by absolute-form")
got = secure.wait_for(1, "/in")
is_(len(got), 1, "an https target is reached")
ok(verify(over_https["secret"], got[0].headers, got[0].body), "signed")
ok(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1" in proxy.lines, "through the proxy, by CONNECT")

proxy.refuse = True
httpd.request("GET", "/")  # lets kept connections be
for server in (plain, secure):
    server.clear()
api.patch("/subscriptions/" + over_http["id"], {"active": False})
fresh = api.subscribe(secure.url + "/fresh", ["some.thing"])
app.post("/events", {"type": "some.thing", "data": {"n": 2}})
rows = wait_until(lambda: [d for d in api.deliveries(fresh["id"], "?state=failed")])
ok(rows, "what the proxy refuses fails")
error = api.get("/deliveries/" + rows[0]["id"]).json["attempts"][0]["error"] if rows else ""
like(error, r"(?i)proxy.*403", f"and the attempt says so ({error})")
ok(not secure.received("/fresh"), "nothing goes around the proxy")
done_testing()
