# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A target of deliveries whose path chooses its behaviour, good or bad.

    /ok...                         200
    /status/410?retry-after=2      that status; with Retry-After
    /sequence/500,503,200          one of these per request of the path, the last one repeatedly
    /slow?s=3                      200 after some seconds
    /drip?s=0.5                    200, a byte per interval
    /never                         reads, never responds
    /redirect?to=URL               302
    /chunked                       200 in chunks with extensions and trailers
    /huge?mb=20                    200 with a large body
    /flood                         200 with a body without end
    /headerbomb                    200 with headers without end
    /garbage                       bytes that are not HTTP
    /conflict                      two different Content-Length
    /eof                           closes without a response
    /reset                         resets the connection without a response
    /halfclose                     half of a response, then FIN
    /continue                      100 Continue twice, then 200
    /close                         200 with Connection: close
    /http10                        200 as HTTP/1.0, the body ended by the close
    /noreason                      "HTTP/1.1 204 " and no body
"""

import asyncio
import collections
import contextlib
import socket
import struct
import threading
import time
import urllib.parse

from tap import at_end


class Headers(dict):
    """Return header fields by lower-case name."""

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())


class Received:
    """One complete request."""

    def __init__(self, method, target, raw_headers, body, connection):
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.raw_headers = raw_headers
        self.headers = Headers((name.lower(), value) for name, value in raw_headers)
        self.body = body
        self.connection = connection
        self.time = time.time()
        self.answered = None  # when the response was written; None: not yet, or never

    def __repr__(self):
        return f"<{self.method} {self.target} {self.body[:200]!r}>"


class Receiver:
    """Listens on a loopback port in a thread of its own. `tls`: an ssl.SSLContext."""

    def __init__(self, tls=None, host="127.0.0.1", port=0):
        self._tls = tls
        self._host = host
        self._ledger = []
        self._by_path = collections.defaultdict(list)
        self._changed = threading.Condition()
        self._connections = 0
        self.open_now = 0
        self.open_most = 0
        self.scripts = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = port
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://{'[' + host + ']' if ':' in host else host}:{self.port}"
        at_end(self.stop)

    # What a test can ask.

    def on(self, path, script):
        """Respond to a path by script(received, number) -> (status, headers, body), number from
        1."""
        self.scripts[path] = script

    def received(self, path=None):
        """Return the requests so far, in order; optionally of one path, ignoring the query."""
        with self._changed:
            return list(self._rows(path))

    def count(self, path=None):
        """Return the number of requests so far."""
        with self._changed:
            return len(self._rows(path))

    def wait_for(self, count, path=None, timeout=60):
        """Wait for a number of requests; return what has arrived, even if it is fewer."""
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                left = end - time.monotonic()
                if len(self._rows(path)) >= count or left <= 0:
                    return list(self._rows(path))
                self._changed.wait(left)

    def quiet(self, seconds, path=None):
        """Wait; true if nothing more has arrived in that time."""
        before = self.count(path)
        time.sleep(seconds)
        return self.count(path) == before

    def clear(self):
        with self._changed:
            self._ledger.clear()
            self._by_path.clear()

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)

    def _rows(self, path):
        """Return the list of a path, or of all; called with the lock held. Does not register the
        path."""
        return self._ledger if path is None else self._by_path.get(path, [])

    # The server.

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._connection, self._host, self.port,
                                            ssl=self._tls, backlog=1024, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader, writer):
        self._connections += 1
        number = self._connections
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self.open_now -= 1
            with contextlib.suppress(Exception):
                writer.close()

    async def _exchange(self, reader, writer, connection):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        raw = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:] if line]
        length = int(dict((n.lower(), v) for n, v in raw).get("content-length", "0"))
        body = await reader.readexactly(length)
        received = Received(method, target, raw, body, connection)
        with self._changed:
            self._ledger.append(received)
            self._by_path[received.path].append(received)
            number = len(self._by_path[received.path])
            self._changed.notify_all()
        keep = await self._answer(received, number, writer)
        received.answered = time.time()
        return keep

    async def _send(self, writer, status, headers=(), body=b"", keep=True):
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers),
                 f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        await writer.drain()
        return keep

    async def _answer(self, received, number, writer):
        path, query = received.path, received.query
        if path in self.scripts:
            return await self._send(writer, *self.scripts[path](received, number))
        kind, _, rest = path.lstrip("/").partition("/")
        method = getattr(self, "_answer_" + kind, None)
        if method is None:
            return await self._send(writer, 200, [("Content-Type", "text/plain")], b"thanks\n")
        return await method(writer, rest, query, number)

    async def _answer_status(self, writer, rest, query, number):
        headers = [("Retry-After", query["retry-after"])] if "retry-after" in query else []
        return await self._send(writer, int(rest), headers, b"as you wish\n")

    async def _answer_sequence(self, writer, rest, query, number):
        statuses = rest.split(",")
        return await self._send(writer, int(statuses[min(number, len(statuses)) - 1]))

    async def _answer_slow(self, writer, rest, query, number):
        await asyncio.sleep(float(query.get("s", 3)))
        return await self._send(writer, 200)

    async def _answer_drip(self, writer, rest, query, number):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(float(query.get("s", 0.5)))
        return True

    async def _answer_never(self, writer, rest, query, number):
        await asyncio.sleep(3600)

    async def _answer_redirect(self, writer, rest, query, number):
        return await self._send(writer, 302, [("Location", query.get("to", self.url + "/ok"))])

    async def _answer_chunked(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"5;name=\"v\"\r\nhello\r\n00001\r\n \r\n5\r\nworld\r\n0\r\nX-End: 1\r\n\r\n")
        await writer.drain()
        return True

    async def _answer_huge(self, writer, rest, query, number):
        size = int(query.get("mb", 20)) << 20
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        block = b"x" * 65536
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
        return True

    async def _answer_flood(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(100000):
            writer.write(block)
            await writer.drain()
        return False

    async def _answer_headerbomb(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(1000000):
            writer.write(f"X-Bomb-{i}: {'b' * 1000}\r\n".encode())
            await writer.drain()
        return False

    async def _answer_garbage(self, writer, rest, query, number):
        writer.write(bytes(range(256)) * 16)
        await writer.drain()
        return False

    async def _answer_conflict(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\nok")
        await writer.drain()
        return True

    async def _answer_eof(self, writer, rest, query, number):
        return False

    async def _answer_reset(self, writer, rest, query, number):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False

    async def _answer_halfclose(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            await asyncio.sleep(30)
        return False

    async def _answer_continue(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        return await self._send(writer, 200)

    async def _answer_close(self, writer, rest, query, number):
        return await self._send(writer, 200, [("Connection", "close")], b"", False)

    async def _answer_http10(self, writer, rest, query, number):
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
        await writer.drain()
        return False

    async def _answer_noreason(self, writer, rest, query, number):
        writer.write(b"HTTP/1.1 204 \r\n\r\n")
        await writer.drain()
        return True
