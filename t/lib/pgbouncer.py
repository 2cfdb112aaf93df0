# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A private PgBouncer in front of a cluster, with its default configuration except for the mode."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from database import unprivileged
from httpd import free_port


def find_pgbouncer():
    """Return the path of the program; None: it is not installed."""
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


class PgBouncer:
    """Start it. `mode` is "session" or "transaction"; `settings` are further lines of its
    configuration."""

    def __init__(self, cluster, mode, settings=""):
        self.root = tempfile.mkdtemp(prefix="rhpb-", dir="/tmp")
        self._user = unprivileged("postgres")
        self.port = free_port()
        self.socket = os.path.join(self.root, f".s.PGSQL.{self.port}")
        self.conninfo = f"host=127.0.0.1 port={self.port} user=postgres connect_timeout=3"
        with open(os.path.join(self.root, "users"), "w", encoding="utf-8") as file:
            file.write('"postgres" ""\n')
        with open(os.path.join(self.root, "pgbouncer.ini"), "w", encoding="utf-8") as file:
            file.write(f"[databases]\n* = host={cluster.root}\n[pgbouncer]\n"
                       f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir = {self.root}\n"
                       f"auth_type = trust\nauth_file = {self.root}/users\npool_mode = {mode}\n"
                       f"logfile = {self.root}/log\n{settings}")
        if self._user:
            for path in ("", "users", "pgbouncer.ini"):
                os.chown(os.path.join(self.root, path), self._user["user"], self._user["group"])
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [find_pgbouncer(), "-q", os.path.join(self.root, "pgbouncer.ini")], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            **self._user)
        for _ in range(200):
            if os.path.exists(os.path.join(self.root, "log")) and "process up" in self.log():
                return
            if self.process.poll() is not None:
                raise RuntimeError("PgBouncer did not start: " + self.log())
            time.sleep(0.05)
        raise RuntimeError("PgBouncer does not come up: " + self.log())

    def log(self):
        try:
            with open(os.path.join(self.root, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(30)
        for path in (os.path.join(self.root, "log"), self.socket, self.socket + ".lock"):
            if os.path.exists(path):
                os.remove(path)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.root, ignore_errors=True)
