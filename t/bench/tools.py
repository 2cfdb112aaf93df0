# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The programs that the benchmark runs: sink, wrk, pgbench, httpd; it ends each by its pid."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "lib")]
sys.dont_write_bytecode = True

from client import request
from database import Cluster, Pgsql, Sqlite, pg_tool
from httpd import Httpd, Vhost, free_port
from machine import Load

CLIENTS = 64
# One child with a thread per client and some to spare: on such a small machine more children would
# only divide the commits among more writers. Connections are kept open. As in every distribution's
# configuration, .htaccess files are not searched for, and as in Debian's there is one Location
# beside the API's, that of mod_status.
CHILDREN = """StartServers 1
ServerLimit 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
ExtendedStatus Off
<Directory />
AllowOverride None
Options FollowSymLinks
</Directory>
<Location "/server-status">
SetHandler server-status
Require local
</Location>
"""
CLUSTER = """shared_buffers = 256MB
max_wal_size = 4GB
wal_keep_size = 4GB
max_connections = 200
track_commit_timestamp = on
"""


class Bench:
    """What all benchmarks share: directory, build, cluster, sink, durations, and the results."""

    def __init__(self, build, work, quick):
        self.build, self.work, self.quick = build, work, quick
        self.roots, self.servers = [], []
        self.cluster = Cluster(CLUSTER)
        with open(os.path.join(self.cluster.root, "data", "postmaster.pid"), encoding="utf-8") as f:
            self.roots.append(int(f.readline()))
        self.sink = Sink(build, work)
        self._files = 0
        self.bodies = {}

    def seconds(self, full, quick):
        return quick if self.quick else full

    def rounds(self, full=3):
        return 1 if self.quick else full

    def load(self, *servers):
        return Load(self.roots + [server.process.pid for server in servers])

    def body(self, text):
        """Write a text to a file; return its name."""
        if text not in self.bodies:
            self.bodies[text] = os.path.join(self.work, f"body{len(self.bodies)}")
            with open(self.bodies[text], "w", encoding="utf-8") as file:
                file.write(text)
        return self.bodies[text]

    def database(self, kind):
        """Make a fresh database. SQLite's is on the same file system as the cluster."""
        if kind == "pgsql":
            return Pgsql(self.cluster)
        self._files += 1
        folder = os.path.join(self.work, f"sqlite{self._files}")
        os.mkdir(folder)
        if os.geteuid() == 0:
            shutil.chown(folder, "www-data", "www-data")
        return Sqlite(folder)

    def server(self, database=None, **arguments):
        server = Server(database, **arguments)
        self.servers.append(server)
        return server

    def end_servers(self):
        """End the servers that a part has left running."""
        for server in self.servers:
            server.abandon()
        self.servers = []

    def close(self):
        self.end_servers()
        self.sink.stop()
        self.cluster.remove()


class Sink:
    """A running sink.c."""

    def __init__(self, build, work):
        file = os.path.join(work, "port")
        self.process = subprocess.Popen([os.path.join(build, "t", "bench", "sink"), file],
                                        stdin=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not os.path.exists(file) or not os.path.getsize(file):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the sink did not start")
            time.sleep(0.02)
        time.sleep(0.05)
        with open(file, encoding="ascii") as port:
            self.url = f"http://127.0.0.1:{int(port.read())}"

    def notes(self):
        """Return webhook-id -> microseconds of the first arrival since the last call."""
        notes = {}
        for line in request("GET", self.url + "/notes").text.splitlines():
            event, at = line.split()
            notes.setdefault(event, int(at))
        return notes

    def count(self):
        """Return the number of requests so far, and of connections open now."""
        return [int(word) for word in request("GET", self.url + "/count").text.split()]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Server(Httpd):
    """An httpd for measuring. close() returns whether its log was clean."""

    def __init__(self, database=None, module=True, config="", mpm="event", **vhost):
        vhost = Vhost(database=database if module else False, enabled=module, **vhost)
        super().__init__(config=CHILDREN + config, vhosts=[vhost], mpm=mpm, module=module,
                         log="notice resthooks:notice", children=False)

    def abandon(self):
        """End it and remove its files. Calling it again does nothing."""
        if self._finished:
            return
        self._finished = True
        self.kill()
        if self.database:
            self.database.remove()
        shutil.rmtree(self.root, ignore_errors=True)

    def close(self):
        self.stop()
        bad = self.unexpected()
        self.abandon()
        if bad:
            print("the error log of httpd:", *bad[:10], sep="\n  ", file=sys.stderr)
            raise RuntimeError("the error log holds something unexpected")


def wrk(bench, url, seconds, body, headers=None, connections=CLIENTS, delay=0):
    """POST for a time over a number of connections. Return responses per second, and wrk's other
    numbers."""
    environment = {**os.environ, "RH_BODY": bench.body(body), "RH_DELAY": str(delay), "RH_HEADERS":
                   "\n".join(f"{name}: {value}" for name, value in (headers or {}).items())}
    done = subprocess.run(
        ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
         "-s", os.path.join(HERE, "post.lua"), url],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=seconds + 60)
    if done.returncode != 0:
        raise RuntimeError("wrk: " + done.stderr + done.stdout)
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if result["refused"] or result["broken"]:
        raise RuntimeError(f"wrk: not all requests of {url} succeeded: {result}")
    result["rate"] = result["requests"] * 1e6 / result["us"]
    return result


class Pgbench:
    """Measure the yardstick: commits of one row by prepared inserts over the cluster's socket."""

    def __init__(self, bench):
        self.database = Pgsql(bench.cluster)
        self.database.sql("CREATE TABLE one_row (id bigserial PRIMARY KEY, data text NOT NULL)")
        self.script = os.path.join(bench.work, "one_row.sql")
        with open(self.script, "w", encoding="utf-8") as file:
            file.write("INSERT INTO one_row (data) VALUES ('" + "x" * 120 + "');\n")

    def run(self, seconds):
        done = subprocess.run(
            [pg_tool("pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2",
             "-T", str(seconds), "-f", self.script, self.database.params],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=seconds + 60)
        found = re.search(r"^tps = ([0-9.]+) \(without", done.stdout, re.M)
        if done.returncode != 0 or not found:
            raise RuntimeError("pgbench: " + done.stderr + done.stdout)
        return float(found.group(1))
