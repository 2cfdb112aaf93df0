#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A small HR API in memory: the backend behind the proxy, of the demo and of the tests.

    GET, POST                 /employers/{employer}/employees
    GET, PUT, PATCH, DELETE   /employers/{employer}/employees/{id}
"""

import argparse
import itertools
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACE = re.compile(r"^/employers/([^/?]+)/employees(?:/([^/?]+))?$")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hr-api"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format, *args):
        pass

    def send(self, status, value=None, headers=()):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_request(self):
        body = self.read_body()
        path = self.path.partition("?")[0]
        place = PLACE.match(path)
        api = self.server.api
        with api.lock:
            api.requests.append((self.command, self.path, dict(self.headers), body))
            if not place:
                return self.send(404, {"error": "no such place"})
            employer, key = place.groups()
            employees = api.employers.setdefault(employer, {})
            if self.command in ("POST", "PUT", "PATCH"):
                try:
                    given = json.loads(body)
                    if not isinstance(given, dict):
                        raise ValueError("not an object")
                except ValueError as error:
                    return self.send(400, {"error": str(error)})
            if key is None:
                if self.command == "POST":
                    number = next(api.numbers)
                    employees[str(number)] = {"id": number, **given}
                    return self.send(201, employees[str(number)],
                                     [("Location", f"{path}/{number}")])
                if self.command in ("GET", "HEAD"):
                    return self.send(200, list(employees.values()))
                return self.send(405, {"error": "not here"}, [("Allow", "GET, HEAD, POST")])
            if key not in employees:
                return self.send(404, {"error": "no such employee"})
            if self.command == "DELETE":
                del employees[key]
                return self.send(204)
            if self.command == "PUT":
                employees[key] = {"id": employees[key]["id"], **given}
            elif self.command == "PATCH":
                employees[key].update(given)
            elif self.command not in ("GET", "HEAD"):
                return self.send(405, {"error": "not here"},
                                 [("Allow", "GET, HEAD, PUT, PATCH, DELETE")])
            return self.send(200, employees[key])

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Ignore clients that disconnect."""


class HrApi:
    """The server; `requests` are (method, path, headers, body) of all requests."""

    def __init__(self, port=0):
        self.employers = {}
        self.numbers = itertools.count(1)
        self.requests = []
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.api = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def main():
    parser = argparse.ArgumentParser(description="A small HR API in memory, on loopback.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--port-file", help="where to write the number of the port")
    options = parser.parse_args()
    api = HrApi(options.port)
    print(f"HR API on {api.url}", flush=True)
    if options.port_file:
        with open(options.port_file + ".new", "w", encoding="utf-8") as file:
            file.write(str(api.port))
        os.rename(options.port_file + ".new", options.port_file)
    api.server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
