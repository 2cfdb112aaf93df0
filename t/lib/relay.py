# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A TCP port on loopback in front of a Unix socket, which can be interrupted or paused."""

import socket
import threading

from listener import Listener


class Relay:
    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._sockets = set()
        self._flows = threading.Event()
        self._flows.set()
        self._refusing = False
        self._listener = Listener(self._connect)
        self.port = self._listener.port

    def cut(self):
        """Close all connections and refuse new ones."""
        self._refusing = True
        self._close_all()

    def hold(self):
        """Stop passing data on, and keep the connections open."""
        self._flows.clear()

    def mend(self):
        self._refusing = False
        self._flows.set()

    def stop(self):
        self._listener.close()
        self._close_all()
        self._flows.set()

    def _close_all(self):
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _connect(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            if self._refusing:
                raise OSError("cut")
            server.connect(self._path)
        except OSError:
            client.close()
            server.close()
            return
        with self._lock:
            self._sockets |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
