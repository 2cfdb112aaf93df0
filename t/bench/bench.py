#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The benchmark: ./check --bench runs it. The method is in docs/benchmarks.md.

usage: bench.py [--quick] [--only NAME,...] BUILD-FOLDER

The build folder holds .libs/mod_resthooks.so, t/bench/sink and t/bench/claim; bench.json is
written there.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import machine

# key, what it is, of what it is the ratio, unit; at least or at most; must reach, aim
FIGURES = [
    ("single", "published events/s, one per request", "pgbench", "/s", ">=", 0.6, 1.0),
    ("batch", "published events/s, batches of 100", "pgbench", "/s", ">=", 1.5, 3.0),
    ("way", "events/s all the way, steady", "pgbench", "/s", ">=", 0.2, 0.4),
    ("latency_median", "commit to first byte, median", None, " ms", "<=", 1.0, None),
    ("latency_p99", "commit to first byte, 99 %", None, " ms", "<=", 10.0, None),
    ("proxied", "requests/s, no rule matches / no module", None, "", ">=", 0.97, 0.99),
    ("hang_memory", "10,000 hanging targets: memory", None, " MB", "<=", 300, 100),
    ("hang_latency", "10,000 hanging targets: healthy 99 %", None, "", "<=", 2.0, 1.2),
    ("dead_latency", "100,000 due for a dead one: healthy 99 %", None, "", "<=", 2.0, 1.1),
    ("claim", "claim at many deliveries / at 10 thousand", None, "", "<=", 2.0, 1.0),
]
REPORTED = [
    ("single_event", "mpm_event: published, one per request"),
    ("sqlite_single", "SQLite: published, one per request"),
    ("sqlite_batch", "SQLite: published, batches of 100"),
    ("sqlite_way", "SQLite: all the way, steady"),
]


class Report:
    """What was measured: lists of samples by name, notes, and the load while it was."""

    def __init__(self):
        self.samples, self.loads, self.notes = {}, {}, []
        self.began = time.monotonic()

    def add(self, name, value):
        self.samples.setdefault(name, []).append(value)
        self.note(f"{name}: {value:.6g}")

    def note(self, text):
        line = f"[{time.monotonic() - self.began:5.0f} s] {text}"
        self.notes.append(line)
        print(line, flush=True)

    def load(self, name, load):
        others, stolen = load.end()
        self.loads.setdefault(name, []).append(others)
        self.note(f"{name}: others had {others} % of the processors, the host took {stolen} %")

    def median(self, name):
        return statistics.median(self.samples[name]) if name in self.samples else None

    def ratio(self, name, yardstick):
        """The median of the rounds' ratios; of medians, where the rounds are not the same."""
        values, units = self.samples.get(name), self.samples.get(yardstick)
        if not values or not units:
            return None
        if len(values) == len(units):
            return statistics.median(a / b for a, b in zip(values, units))
        return statistics.median(values) / statistics.median(units)

    def figures(self):
        """Rows: key, title, value with unit, what is compared, bounds, whether it is reached."""
        rows = []
        for key, title, yardstick, unit, sign, must, aim in FIGURES:
            value = self.median(key)
            compared = self.ratio(key, yardstick) if yardstick else value
            if compared is None:
                rows.append({"key": key, "title": title, "value": None, "reached": None})
                continue
            good = (lambda bound: compared >= bound if sign == ">=" else compared <= bound)
            rows.append({"key": key, "title": title, "value": value, "unit": unit,
                         "ratio": compared if yardstick or unit == "" else None, "sign": sign,
                         "must": must, "aim": aim, "reached": bool(good(must)),
                         "aim_reached": None if aim is None else bool(good(aim)),
                         "samples": self.samples[key]})
        return rows


def show(report, rows):
    """The table."""
    def number(value):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    print(f"\n{'figure':44} {'median':>12} {'ratio':>7} {'must':>9} {'aim':>8}  reached")
    for row in rows:
        if row["value"] is None:
            print(f"{row['title']:44} {'not measured':>12}")
            continue
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        value = "" if row["unit"] == "" else number(row["value"]) + row["unit"]
        aim = "" if row["aim"] is None else f"{row['sign']} {row['aim']:g}"
        reached = "yes" if row["reached"] else "NO"
        must = f"{row['sign']} {row['must']:g}"
        print(f"{row['title']:44} {value:>12} {ratio:>7} {must:>9} {aim:>8}  {reached}"
              + (", aim too" if row["aim_reached"] else ""))
    for key, title in REPORTED:
        if report.median(key) is not None:
            print(f"{title:44} {number(report.median(key)) + '/s':>12} "
                  f"{report.ratio(key, 'pgbench') or 0:7.2f}")
    print("\nyardsticks in this run:")
    for key, title in (("pgbench", "pgbench, one-row commits/s, 64 clients"),
                       ("sink", "wrk POSTing to the sink directly, 64 connections"),
                       ("httpd", "the same POSTs, answered by httpd alone, 64 connections"),
                       ("httpd_event", "the same, by mpm_event"),
                       ("plain", "proxied without the module, 64 connections")):
        if report.median(key) is not None:
            print(f"  {title:50} {number(report.median(key)):>10}/s")


def measure(bench, report, only):
    import backlog
    import isolation
    import throughput

    parts = [("intake", throughput.intake), ("way", throughput.all_the_way),
             ("latency", isolation.latency), ("proxied", throughput.proxied),
             ("dead", isolation.dead), ("hang", isolation.hanging), ("claim", backlog.claim),
             ("sqlite", throughput.on_sqlite)]
    for name, part in parts:
        if only and name not in only:
            continue
        report.note(f"-- {name}; load average {os.getloadavg()[0]:.2f}")
        try:
            part(bench, report)
        except (RuntimeError, OSError) as error:
            report.note(f"{name}: FAILED: {error}")
        bench.end_servers()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("build")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    os.environ["RH_MODULE"] = os.path.join(build, ".libs", "mod_resthooks.so")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    import tools

    about = machine.describe()
    about["other_load"] = machine.top()
    about["quick"] = arguments.quick
    print(f"{about['cores']} cores, {about['cpu']}, {about['memory_mb']} MB; load average before: "
          + " ".join(f"{value:.2f}" for value in about["load_average_before"]))
    print("what else runs: " + (", ".join(about["other_load"]) or "nothing"), flush=True)
    report = Report()
    work = tempfile.mkdtemp(prefix="rhbench-", dir="/tmp")
    os.chmod(work, 0o755)
    bench = None
    try:
        bench = tools.Bench(build, work, arguments.quick)
        measure(bench, report, [name for name in arguments.only.split(",") if name])
    finally:
        if bench:
            bench.close()
        shutil.rmtree(work, ignore_errors=True)
    rows = report.figures()
    show(report, rows)
    about["load_average_after"] = [round(value, 2) for value in os.getloadavg()]
    others = [value for values in report.loads.values() for value in values]
    if others:
        print(f"\nother processes had {min(others):.0f}-{max(others):.0f} % of the processors "
              f"while this was measured (median {statistics.median(others):.0f} %); load average "
              f"before {about['load_average_before'][0]}, after {about['load_average_after'][0]}")
    with open(os.path.join(build, "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": about, "figures": rows, "samples": report.samples,
                   "other_cpu_percent": report.loads, "log": report.notes}, file, indent=1)
    reached = sum(bool(row["reached"]) for row in rows)
    print(f"{reached} of {len(rows)} figures reached")


if __name__ == "__main__":
    main()
