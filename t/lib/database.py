# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Private PostgreSQL clusters, and a new database for each virtual host of a test."""

import atexit
import glob
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import uuid


def pg_tool(name):
    """Return the path of a program of the newest PostgreSQL server; None: none is installed."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    for folder in reversed(folders):
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    return shutil.which(name)


def unprivileged(*names):
    """Return arguments for subprocess to run as the first of these users, if this process is
    root."""
    if os.geteuid() != 0:
        return {}
    for name in names + ("nobody",):
        try:
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        except KeyError:
            pass
    raise RuntimeError("no unprivileged user")


class Cluster:
    """A private PostgreSQL server in a temporary directory, reachable only by its Unix socket."""

    _environment = {}

    def __init__(self, options="", environment=None):
        """`options` are lines of postgresql.conf, `environment` further variables for the server.
        """
        self._environment = environment or {}
        if not pg_tool("initdb"):
            raise RuntimeError("no PostgreSQL server: apt-get install postgresql")
        self.root = tempfile.mkdtemp(prefix="rhpg-", dir="/tmp")
        self._user = unprivileged("postgres")
        if self._user:
            os.chown(self.root, self._user["user"], self._user["group"])
        os.chmod(self.root, 0o711)
        self.data = os.path.join(self.root, "data")
        self._log = os.path.join(self.root, "log")
        self.conninfo = f"host={self.root} user=postgres connect_timeout=5"
        self.tool("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                  "-D", self.data)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.root}'\n"
                       "max_connections = 200\nshared_buffers = 64MB\nfsync = on\n" + options)
        self.running = False
        atexit.register(self.remove)
        self.start()

    def tool(self, tool, *args):
        """Return the output of a PostgreSQL program, run as the cluster's user. Raises if it fails.
        """
        done = subprocess.run([pg_tool(tool), *args], stdin=subprocess.DEVNULL, cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, **self._user)
        if done.returncode != 0:
            raise RuntimeError(f"{tool}: {done.stdout}")
        return done.stdout

    def start(self):
        # The server inherits pg_ctl's output, so a pipe would stay open as long as it runs.
        done = subprocess.run([pg_tool("pg_ctl"), "-D", self.data, "-l", self._log, "-w", "-t",
                               "60", "start"], stdin=subprocess.DEVNULL, cwd="/",
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                              env={**os.environ, **self._environment}, **self._user)
        if done.returncode != 0:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                raise RuntimeError("PostgreSQL did not start: " + file.read()[-2000:])
        self.running = True

    def stop(self, mode="fast"):
        """Stop the server; `immediate` is like a crash."""
        self.tool("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")
        self.running = False

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def remove(self):
        if self.running:
            try:
                self.stop("immediate")
            except RuntimeError:
                pass
        shutil.rmtree(self.root, ignore_errors=True)


_shared = None


def shared_conninfo():
    """Return the cluster of this run: $RH_PGSQL, which ./check starts, else one of this process."""
    global _shared
    if os.environ.get("RH_PGSQL"):
        return os.environ["RH_PGSQL"]
    if _shared is None:
        _shared = Cluster()
    return _shared.conninfo


class Pgsql:
    """A new database in a cluster."""
    driver = "pgsql"

    def __init__(self, cluster=None):
        self.cluster = cluster
        self._base = cluster.conninfo if cluster else shared_conninfo()
        self.name = "rh_" + uuid.uuid4().hex[:12]
        self._psql("postgres", f"CREATE DATABASE {self.name}")
        self.params = f"{self._base} dbname={self.name}"

    def _psql(self, database, script):
        done = subprocess.run(
            [pg_tool("psql"), "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e",
             "-v", "ON_ERROR_STOP=1", "-d", f"{self._base} dbname={database}", "-f", "-"],
            input=script, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def sql(self, script):
        """Run SQL; return the rows of its selects as lists of strings. NULL is ''."""
        out = self._psql(self.name, script)
        out = out[:-1] if out.endswith("\n") else out
        return [row.split("\x1f") for row in out.split("\x1e")] if out else []

    def script(self, text):
        """Run several statements."""
        self._psql(self.name, text)

    def remove(self):
        if self.cluster and not self.cluster.running:
            return
        self._psql("postgres", f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


class Sqlite:
    """A database file, in a directory that httpd's user may write to."""
    driver = "sqlite3"
    cluster = None

    def __init__(self, folder, name="hooks"):
        self.params = os.path.join(folder, name + ".db")

    def sql(self, script):
        connection = sqlite3.connect(self.params, timeout=60, isolation_level=None)
        try:
            rows = connection.execute(script).fetchall()
            return [["" if value is None else str(value) for value in row] for row in rows]
        finally:
            connection.close()

    def script(self, text):
        connection = sqlite3.connect(self.params)
        try:
            connection.executescript(text)
        finally:
            connection.close()

    def remove(self):
        pass


def main():
    """Run a cluster for a shell script: write its conninfo to the named file, and wait until this
    process is ended or its parent is gone."""
    import signal
    import sys
    import time

    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # After Ctrl-C the script ends this process, after httpd.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    cluster = Cluster()
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
        file.write(cluster.conninfo + "\n")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while os.getppid() == parent:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
