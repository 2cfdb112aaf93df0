# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A TCP port on loopback in front of PostgreSQL's Unix socket. It knows the protocol and breaks it
at a chosen step: it responds with an error, or closes the connection, instead of the server."""

import re
import socket
import struct
import threading

from listener import Listener

SSL_REQUESTS = (80877103, 80877104)
PREPARE = re.compile(rb"PREPARE (\S+) .*?AS (.*)", re.S)


class Fault:
    """What happens to what matches.

    step    "startup", "Q" (a simple query), "P" (Parse), "B" (Bind and Execute)
    text    regular expression on the statement's SQL
    code    SQLSTATE of the error that is answered; None: only the connection is closed
    fatal   the connection is closed after the error
    count   how many times; None: until it is removed
    """

    def __init__(self, step, text=b"", code=None, message="Etwas ist schiefgegangen", fatal=False,
                 count=None):
        self.step, self.code, self.message = step, code, message
        self.text = re.compile(text, re.S)
        self.fatal = fatal or code is None
        self.count = count
        self.hits = 0

    def error(self):
        severity = b"FATAL" if self.fatal else b"FEHLER"
        fields = (b"S" + severity, b"V" + (b"FATAL" if self.fatal else b"ERROR"),
                  b"C" + self.code.encode(), b"M" + self.message.encode(), b"Fx.c", b"L1", b"Rf")
        body = b"".join(field + b"\0" for field in fields) + b"\0"
        return b"E" + struct.pack("!i", len(body) + 4) + body


class Gone(Exception):
    """One side closed the connection, or a fault ends it."""


class _Connection:
    def __init__(self, relay, client):
        self.relay, self.client = relay, client
        self.server = None
        self.status = b"I"
        self.names = {}

    def read(self, sock, size):
        data = b""
        while len(data) < size:
            more = sock.recv(size - len(data))
            if not more:
                raise Gone
            data += more
        return data

    def startup(self):
        while True:
            head = self.read(self.client, 8)
            length, version = struct.unpack("!ii", head)
            if version in SSL_REQUESTS:
                self.client.sendall(b"N")
                continue
            body = self.read(self.client, length - 8)
            fault = self.relay.match("startup", b"")
            if fault:
                self.answer(fault)
            self.server = socket.socket(socket.AF_UNIX)
            self.server.connect(self.relay.path)
            self.server.sendall(head + body)
            return

    def answer(self, fault):
        """Respond instead of the server."""
        if fault.code:
            ready = b"Z\0\0\0\5" + (b"I" if self.status == b"I" else b"E")
            self.client.sendall(fault.error() + (b"" if fault.fatal else ready))
        if fault.fatal:
            raise Gone

    def message(self, sock):
        head = self.read(sock, 5)
        return head[:1], head + self.read(sock, struct.unpack("!i", head[1:])[0] - 4)

    def fault_of(self, kind, data):
        body = data[5:]
        if kind == b"Q":
            prepare = PREPARE.match(body)
            if prepare:
                self.names[prepare[1].lower()] = prepare[2]
            return self.relay.match("Q", body)
        if kind == b"P":
            name, text = body.split(b"\0", 2)[:2]
            self.names[name] = text
            return self.relay.match("P", text)
        if kind == b"B":
            return self.relay.match("B", self.names.get(body.split(b"\0", 2)[1], b""))
        return None

    def forward(self):
        """Read the client's messages; those up to a Sync are passed on together, or not at all."""
        batch, fault = b"", None
        while True:
            kind, data = self.message(self.client)
            fault = fault or self.fault_of(kind, data)
            batch += data
            if kind not in b"QSX":
                continue
            if fault:
                self.answer(fault)
            else:
                self.server.sendall(batch)
            batch, fault = b"", None

    def backward(self):
        try:
            while True:
                kind, data = self.message(self.server)
                if kind == b"Z":
                    self.status = data[5:6]
                self.client.sendall(data)
        except (Gone, OSError):
            pass
        self.close()

    def close(self):
        for sock in (self.client, self.server):
            try:
                if sock:
                    sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def run(self):
        back = None
        try:
            self.startup()
            back = threading.Thread(target=self.backward, daemon=True)
            back.start()
            self.forward()
        except (Gone, OSError):
            pass
        self.close()
        if back:
            back.join()
        self.client.close()
        if self.server:
            self.server.close()


class PgRelay:
    def __init__(self, path):
        self.path = path
        self.faults = []
        self._lock = threading.Lock()
        self._listener = Listener(lambda client: _Connection(self, client).run())
        self.port = self._listener.port

    def breaks(self, *args, **named):
        """Add a fault, with Fault's arguments, and return it."""
        fault = Fault(*args, **named)
        with self._lock:
            self.faults.append(fault)
        return fault

    def mend(self):
        with self._lock:
            self.faults.clear()

    def match(self, step, text):
        with self._lock:
            for fault in self.faults:
                if fault.step == step and fault.text.search(text) and \
                        (fault.count is None or fault.hits < fault.count):
                    fault.hits += 1
                    return fault
        return None

    def stop(self):
        self._listener.close()
