# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The cost of events: processor time of httpd's and PostgreSQL's processes, and bytes written."""

import os
import re

from machine import device_written, processes, tree, written


def usage(roots):
    """Return the processor time in seconds, and the bytes written to disk, of these processes and
    all below them."""
    found = processes()
    pids = tree(roots, found)
    return sum(found[pid][2] for pid in pids), sum(written(pid) for pid in pids)


def full_pages(cluster, start, end):
    """Return the bytes of full-page images in the WAL between two positions."""
    out = cluster.tool("pg_waldump", "--stats", "-p", cluster.data, "-s", start, "-e", end)
    total = re.search(r"^Total\s+\d+\s+\d+\s+\[[^]]*\]\s+(\d+)\s+\[", out, re.M)
    if not total:
        raise RuntimeError("pg_waldump printed no total: " + out[-500:])
    return int(total.group(1))


class Meter:
    """Measures from its creation to end(). Directly before both moments PostgreSQL makes a
    checkpoint, and the file system is synced: all pages that the events changed are written in
    between, and none of another measurement."""

    def __init__(self, bench, server):
        self.cluster, self.roots = bench.cluster, bench.roots
        self.server = server
        self.in_pgsql = server.database.driver == "pgsql"
        self.folder = bench.cluster.data
        self._checkpoint()
        self.disk = device_written(self.folder)
        self.httpd, self.pgsql = usage([server.process.pid]), usage(self.roots)
        self.wal = self._wal()

    def _checkpoint(self):
        if self.in_pgsql:
            self.server.database.sql("CHECKPOINT")
        os.sync()

    def _wal(self):
        if not self.in_pgsql:
            return None, 0
        position, distance = self.server.database.sql(
            "SELECT lsn, lsn - '0/0'::pg_lsn FROM pg_current_wal_insert_lsn() AS lsn")[0]
        return position, int(distance)

    def end(self, events):
        """Return, per event, the CPU time of each and of both (seconds per 10,000), the kB that the
        device wrote and that the kernel counted for the processes, and the kB of WAL and of full-
        page images. SQLite's processor time is part of httpd's."""
        if events <= 0:
            raise RuntimeError("no event was measured")
        wal = self._wal()
        self._checkpoint()
        disk = device_written(self.folder)
        httpd, pgsql = usage([self.server.process.pid]), usage(self.roots)
        counted = httpd[1] - self.httpd[1] + pgsql[1] - self.pgsql[1]
        kb = 1 / 1000 / events
        cost = {"cpu_httpd": (httpd[0] - self.httpd[0]) * 10_000 / events}
        cost["cpu"] = cost["cpu_httpd"]
        if self.in_pgsql:
            cost["cpu_pgsql"] = (pgsql[0] - self.pgsql[0]) * 10_000 / events
            cost["cpu"] += cost["cpu_pgsql"]
            cost["kb_wal"] = (wal[1] - self.wal[1]) * kb
            cost["kb_pages"] = full_pages(self.cluster, self.wal[0], wal[0]) * kb
        cost["kb_counted"] = counted * kb
        cost["kb"] = cost["kb_counted"] if self.disk is None else (disk - self.disk) * kb
        return cost
