# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A TCP server on loopback that serves each connection in a thread of its own."""

import socket
import threading


class Listener:
    """Accepts connections until close(). serve(connection) is called in a daemon thread each."""

    def __init__(self, serve, backlog=64):
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
