# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Counts the instructions that a proxied request takes in httpd, with the module, whose rules do
not match, and without it. Valgrind counts, so other load does not matter. RH_KEEP names a directory
for callgrind's files, to be read by callgrind_annotate."""

import glob
import http.client
import os
import re
import shutil
import subprocess
import urllib.parse

from throughput import EMPLOYEE
from tools import Server

FEW, MANY = 200, 1200
WATCHED = "ap_run_process_connection"


def read_totals(names):
    """Return the sum of callgrind's files."""
    total = 0
    for name in names:
        if os.environ.get("RH_KEEP"):
            shutil.copy(name, os.environ["RH_KEEP"])
        with open(name, encoding="utf-8", errors="replace") as file:
            total += sum(int(count) for count in re.findall(r"^totals: (\d+)", file.read(), re.M))
    if total == 0:
        raise RuntimeError("valgrind counted nothing")
    return total


class Counted(Server):
    """An httpd in one process, whose threads are counted while they serve a connection."""

    def command(self, *args):
        os.makedirs(self.path("counts"), exist_ok=True)
        if self.user:
            os.chown(self.path("counts"), self.user.pw_uid, self.user.pw_gid)
        return ["valgrind", "--tool=callgrind", "--vgdb=no", "--collect-atstart=no",
                f"--toggle-collect={WATCHED}", "--log-file=" + self.path("counts", "log.%p"),
                "--callgrind-out-file=" + self.path("counts", "callgrind.%p"),
                *super().command("-X", *args)]

    def instructions(self):
        """End it. Return the number of counted instructions."""
        names = glob.glob(self.path("counts", "callgrind.*"))
        for name in names:
            if self.user:  # valgrind created the file before httpd gave up root, and writes it now
                os.chown(name, self.user.pw_uid, self.user.pw_gid)
        self.stop()
        return read_totals(names)


def count(bench, path, requests, body, **arguments):
    """Return the instructions of that many POSTs over one connection."""
    server = Counted(**arguments)
    bench.servers.append(server)
    place = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
    for _ in range(requests):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status not in (201, 202, 204):
            raise RuntimeError(f"POST {path}: {response.status}")
    connection.close()
    total = server.instructions()
    server.close()
    return total


def per_request(bench, path, body=EMPLOYEE, **arguments):
    """Return the instructions of one more request: those of the start and of the first requests are
    subtracted."""
    few, many = (count(bench, path, requests, body, **arguments) for requests in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def instructions(bench, report):
    plain = per_request(bench, "/employers/acme/notes", module=False, backend=bench.sink)
    database = bench.database("sqlite3")
    watched = per_request(bench, "/employers/acme/notes", database=database, backend=bench.sink)
    report.add("instructions_plain", plain)
    report.add("instructions_event", watched - plain)


def posts(bench, count, kind):
    """Return the instructions for a number of POSTs by the module's client, in a separate
    program."""
    name = os.path.join(bench.work, f"callgrind.{kind}.{count}")
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--vgdb=no", "--log-file=/dev/null",
         "--callgrind-out-file=" + name, os.path.join(bench.build, "t", "bench", "posts"),
         bench.sink.url + "/in", str(count), kind], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError("posts: " + done.stderr)
    return read_totals([name])


def client(bench, report):
    """Return the instructions for one more POST on a kept connection, and on a new one."""
    for kind in ("kept", "new"):
        report.add(f"post_{kind}_event", (posts(bench, MANY, kind) - posts(bench, FEW, kind)) /
                   (MANY - FEW))
