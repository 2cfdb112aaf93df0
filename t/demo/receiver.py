#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A receiver of webhooks: prints each POST that arrives, its signature verified.

With --folder, it writes the port's number to the file `port` in that directory, and what it prints
of the first, second ... POST to `1`, `2`, ...
"""

import argparse
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from signature import verify  # noqa: E402

SHOWN = ["content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature",
         "x-hook-event", "x-hook-changed", "x-hook-subscription", "traceparent"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.show(self, body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, folder, secret_file):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder
        self.secret_file = secret_file
        self.count = 0
        self.lock = threading.Lock()

    def judge(self, headers, body):
        """Return the result of a receiver's checks, as a line for a person."""
        signature = "not checked: no secret"
        if self.secret_file:
            with open(self.secret_file, encoding="utf-8") as file:
                good = verify(file.read().strip(), headers, body)
            signature = "verified" if good else "WRONG"
        try:
            items = json.loads(body)
            shape = ("an array of one item" if isinstance(items, list) and len(items) == 1
                     else "not an array of one item")
        except ValueError:
            shape = "not JSON"
        return f"signature: {signature}; body: {shape}"

    def show(self, request, body):
        lines = [f"POST {request.path} {request.request_version}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()
                  if name.lower() in SHOWN]
        lines += ["", body.decode("utf-8", "replace"), "", self.judge(request.headers, body), ""]
        text = "\n".join(lines)
        with self.lock:
            self.count += 1
            print(text, flush=True)
            if self.folder:
                self.write(str(self.count), text)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description="Prints the webhooks that arrive, verified.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--folder", help="where to keep what was printed")
    parser.add_argument("--secret-file", help="the file that holds the subscription's secret")
    options = parser.parse_args()
    receiver = Receiver(options.port, options.folder, options.secret_file)
    port = receiver.server_address[1]
    print(f"receiver on http://127.0.0.1:{port}", flush=True)
    if options.folder:
        receiver.write("port", str(port))
    receiver.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
