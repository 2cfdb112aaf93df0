# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Programs behind httpd, by CGI, php-fpm, uWSGI and SCGI, that respond with their environment: for
the tests of the internal GET."""

import glob
import json
import os
import socket
import subprocess
import time

from listener import Listener
from rhtest import at_end, free_port, skip_all

# A POST or PUT creates a resource with a URL of its own, a GET shows the program's environment.
# At a
# path that ends in /hang a POST gets a response, a GET never does.
PYTHON = '''
import json, os, sys, time
def answer(environ, read):
    method, path = environ["REQUEST_METHOD"], environ["REQUEST_URI"].split("?")[0]
    if method != "GET":
        read()
        return "201 Created", [("Location", path + "/7?part=all")], {"id": 7}
    if path.endswith("/hang/7"):
        time.sleep(120)
    return "200 OK", [], {"environ": {n: v for n, v in environ.items() if isinstance(v, str)},
                          "body": read()}
'''
CGI = "#!/usr/bin/python3\n" + PYTHON + '''
status, fields, data = answer(dict(os.environ), sys.stdin.read)
print("Status: " + status)
print("Content-Type: application/json")
for field in fields:
    print("%s: %s" % field)
print()
print(json.dumps(data))
'''
WSGI = PYTHON + '''
def application(environ, start_response):
    status, fields, data = answer(environ, lambda: environ["wsgi.input"].read().decode())
    start_response(status, [("Content-Type", "application/json")] + fields)
    return [json.dumps(data).encode()]
'''
PHP = '''<?php
$path = explode("?", $_SERVER["REQUEST_URI"])[0];
header("Content-Type: application/json");
if ($_SERVER["REQUEST_METHOD"] != "GET") {
    header("Location: " . $path . "/7?part=all", true, 201);
    echo json_encode(["id" => 7]);
} else {
    if (str_ends_with($path, "/hang/7")) sleep(120);
    echo json_encode(["environ" => array_filter($_SERVER, "is_string"),
                      "body" => file_get_contents("php://input")]);
}
'''


def write(path, text, mode=0o755):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def start(arguments, port, log):
    """Start a server that runs until the test ends; wait until it listens."""
    # pylint: disable=consider-using-with
    with open(log, "wb") as file:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def stop():
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    at_end(stop)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return process
        except OSError:
            time.sleep(0.05)
    with open(log, encoding="utf-8", errors="replace") as file:
        raise RuntimeError(f"{arguments[0]} does not listen: {file.read()[-2000:]}")


def start_php_fpm(folder):
    """Start it; return its port."""
    programs = sorted(glob.glob("/usr/sbin/php-fpm*"))
    if not programs:
        skip_all("php-fpm is not installed")
    port = free_port()
    user = "user = root\ngroup = root\n" if os.getuid() == 0 else ""
    conf = write(os.path.join(folder, "fpm.conf"),
                 f"[global]\ndaemonize = no\nerror_log = {folder}/fpm.log\n[www]\n{user}"
                 f"listen = 127.0.0.1:{port}\npm = static\npm.max_children = 4\n", 0o644)
    start([programs[-1], "-F", "-R", "-n", "-y", conf], port, os.path.join(folder, "fpm.out"))
    return port


def start_uwsgi(folder):
    """Start it; return its port."""
    if not os.path.exists("/usr/bin/uwsgi"):
        skip_all("uwsgi is not installed")
    port = free_port()
    program = write(os.path.join(folder, "wsgi.py"), WSGI)
    start(["/usr/bin/uwsgi", "--plugin", "python3", "--socket", f"127.0.0.1:{port}", "--processes",
           "4", "--master", "--die-on-term", "--wsgi-file", program], port,
          os.path.join(folder, "uwsgi.log"))
    return port


class Scgi:
    """An SCGI server that responds like the programs."""

    def __init__(self):
        scope = {}
        exec(PYTHON, scope)  # pylint: disable=exec-used
        self._answer = scope["answer"]
        listener = Listener(self._serve)
        self.port = listener.port
        at_end(listener.close)

    def _serve(self, sock):
        with sock, sock.makefile("rb") as file:
            digits = b""
            while (byte := file.read(1)) not in (b":", b""):
                digits += byte
            parts = file.read(int(digits)).split(b"\0")[:-1]
            file.read(1)
            environ = {n.decode(): v.decode() for n, v in zip(parts[::2], parts[1::2])}
            length = int(environ.get("CONTENT_LENGTH") or 0)
            status, fields, data = self._answer(environ, lambda: file.read(length).decode())
            lines = [f"Status: {status}", "Content-Type: application/json",
                     *("%s: %s" % field for field in fields), "", json.dumps(data)]
            try:
                sock.sendall("\r\n".join(lines).encode())
            except OSError:
                pass
