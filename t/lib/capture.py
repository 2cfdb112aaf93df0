# Licensed under the Apache License, Version 2.0: see LICENSE.
"""For the tests of capture: a backend that responds byte by byte as scripted, a client that keeps
the bytes of a response as they arrived, and the events that were made."""

import json
import re
import socket
import time

from listener import Listener
from rhtest import Receiver, at_end


class Head:
    """Read the start line and fields of a message."""

    def __init__(self, data):
        lines = data.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.fields = [tuple(part.strip() for part in line.split(":", 1))
                       for line in lines[1:] if line]

    def get(self, name, default=None):
        for field, value in self.fields:
            if field.lower() == name.lower():
                return value
        return default


def read_head(file):
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            return None
        data += line
    return Head(data[:-4])


def read_chunked(file):
    """Read the rest of a response: (content, trailer fields, whether it was complete)."""
    body = b""
    while True:
        line = file.readline()
        if not line.endswith(b"\r\n"):
            return body, [], False
        size = int(line.split(b";")[0], 16)
        if size == 0:
            trailers = []
            while (line := file.readline()).strip():
                trailers.append(line.decode("latin-1").strip())
            return body, trailers, line.endswith(b"\r\n")
        data = file.read(size)
        body += data
        if len(data) < size or file.read(2) != b"\r\n":
            return body, [], False


class Exchange:
    """One request at the raw backend, and the means to respond to it."""

    def __init__(self, sock, file, head):
        self.sock, self.file, self.head = sock, file, head
        self.method, self.target, _ = head.line.split(" ")
        self.body = None

    def read_body(self):
        if self.head.get("Expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.head.get("Transfer-Encoding", "").lower() == "chunked":
            self.body = read_chunked(self.file)[0]
        else:
            self.body = self.file.read(int(self.head.get("Content-Length", "0")))
        return self.body

    def send(self, *pieces):
        """Send bytes; numbers are seconds to wait."""
        for piece in pieces:
            if isinstance(piece, bytes):
                self.sock.sendall(piece)
            else:
                time.sleep(piece)

    def answer(self, status=200, body=b"", fields=(), length=True):
        lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json",
                 *(f"{name}: {value}" for name, value in fields)]
        if length:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines + ["", ""]).encode("latin-1") + body)


class RawBackend:
    """Responds to a path by script(exchange); "METHOD /path" takes precedence over "/path". A
    script that returns True keeps the connection open. The request's body is read first, except for
    paths in `unread`."""

    def __init__(self):
        self.scripts = {}
        self.unread = set()
        self.seen = []
        listener = Listener(self._serve, backlog=256)
        self.port = listener.port
        self.url = f"http://127.0.0.1:{self.port}"
        at_end(listener.close)

    def on(self, path, script):
        self.scripts[path] = script

    def to(self, path, method=None):
        """Return the exchanges of a path so far."""
        return [e for e in self.seen if e.target == path and method in (None, e.method)]

    def _serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock, sock.makefile("rb") as file:
            try:
                while head := read_head(file):
                    exchange = Exchange(sock, file, head)
                    path = exchange.target.partition("?")[0]
                    if path not in self.unread:
                        exchange.read_body()
                    self.seen.append(exchange)
                    script = (self.scripts.get(f"{exchange.method} {path}")
                              or self.scripts.get(path))
                    if script is None:
                        exchange.answer(404, b'{"error":"no script"}')
                    elif not script(exchange):
                        return
            except OSError:
                pass


class RawAnswer:
    """A response. `framing` is none, length, chunked or close; `whole` is true if it was
    complete."""

    def __init__(self, interim, head, framing, body, trailers, whole):
        self.interim, self.head, self.framing = interim, head, framing
        self.body, self.trailers, self.whole = body, trailers, whole
        self.status = int(head.line.split(" ")[1]) if head else 0

    def comparable(self):
        """Return everything that a client sees, except for the date."""
        fields = [f for f in self.head.fields if f[0].lower() != "date"] if self.head else None
        return (self.interim, self.head and self.head.line, fields, self.framing, self.body,
                self.trailers, self.whole)


def read_answer(file, method):
    interim = []
    head = read_head(file)
    while head and head.line.split(" ")[1].startswith("1") and " 101" not in head.line:
        interim.append((head.line, head.fields))
        head = read_head(file)
    if head is None:
        return RawAnswer(interim, None, "none", b"", [], False)
    status = head.line.split(" ")[1]
    if method == "HEAD" or status in ("204", "304", "101"):
        return RawAnswer(interim, head, "none", b"", [], True)
    if (head.get("Transfer-Encoding") or "").lower() == "chunked":
        body, trailers, whole = read_chunked(file)
        return RawAnswer(interim, head, "chunked", body, trailers, whole)
    if head.get("Content-Length") is not None:
        length = int(head.get("Content-Length"))
        body = file.read(length)
        return RawAnswer(interim, head, "length", body, [], len(body) == length)
    return RawAnswer(interim, head, "close", file.read(), [], True)


def raw(port, method, target, body=b"", fields=(), timeout=30):
    """Make one request; return its response unchanged. `body`: bytes, or a list of bytes that are
    sent in chunks, in which numbers are seconds to wait."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: localhost:{port}", "Connection: close",
             *(f"{name}: {value}" for name, value in fields)]
    chunked = isinstance(body, list)
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.settimeout(timeout)
        file = sock.makefile("rb")
        sock.sendall("\r\n".join(lines + ["", ""]).encode("latin-1"))
        if chunked:
            for piece in body:
                if isinstance(piece, bytes):
                    sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                else:
                    time.sleep(piece)
            sock.sendall(b"0\r\n\r\n")
        elif body:
            sock.sendall(body)
        try:
            return read_answer(file, method)
        except ConnectionResetError:
            return RawAnswer([], None, "none", b"", [], False)


class Event:
    """A stored event; `data` are its bytes as a target gets them."""

    def __init__(self, row, data):
        self.id, self.type, self.key = row["id"], row["type"], row["key"]
        self.traceparent = row.get("traceparent")
        self.data = data
        try:
            self.json = json.loads(data)
        except (TypeError, ValueError):
            self.json = None

    def __repr__(self):
        return f"<{self.type} {self.key} {self.data[:200]!r}>"


class Events:
    """The events of a host. Make it before the first request, because it subscribes."""

    def __init__(self, httpd, tenants=("acme",)):
        self._receiver = Receiver()
        self._api = {tenant: httpd.api(tenant) for tenant in tenants}
        self._seen = set()
        for tenant, api in self._api.items():
            api.subscribe(f"{self._receiver.url}/ok/{tenant}", ["*"])

    def new(self, tenant="acme"):
        """The events stored since the last call, oldest first. Does not wait for more."""
        answer = self._api[tenant].get("/events?limit=500")
        if answer.status != 200:
            raise RuntimeError(f"no events: {answer}")
        rows = [row for row in reversed(answer.json) if row["id"] not in self._seen]
        self._seen.update(row["id"] for row in rows)
        return [Event(row, self._bytes(tenant, row["id"])) for row in rows]

    def rows(self, tenant="acme", query=""):
        """Return everything that GET /events shows, newest first."""
        rows, path = [], "/events?limit=500" + query
        while path:
            answer = self._api[tenant].get(path)
            rows += answer.json
            link = re.search(r"<[^>]*(/events\?[^>]*)>; *rel=\"next\"", answer.headers.get("Link") or "")
            path = link and link.group(1)
        return rows

    def skip(self, tenant="acme"):
        """Mark everything stored so far as seen."""
        self._seen.update(row["id"] for row in self.rows(tenant))

    def _bytes(self, tenant, event_id):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for received in self._receiver.received(f"/ok/{tenant}"):
                if received.headers.get("webhook-id") == event_id:
                    return received.body[1:-1]
            time.sleep(0.02)
        raise RuntimeError(f"event {event_id} did not arrive")
