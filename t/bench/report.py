# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The results of the benchmark, compared with the required figures."""

import statistics
import time
from collections import namedtuple

# mpm_event is what Debian installs. SQLite is measured with it only, PostgreSQL with other MPMs
# too.
COLUMNS = {"event": "mpm_event", "worker": "mpm_worker", "sqlite": "SQLite, mpm_event"}

# key and column name the samples, `yardstick` is the divisor, `sign` says at least or at most.
# `bounds`: the required figure of a column and the figure aimed at; None: only reported.
Figure = namedtuple("Figure", "key title yardstick unit sign bounds")
FIGURES = [
    Figure("single", "published events/s, one per request", "pgbench", "/s", ">=",
           {"event": (0.55, 0.8), "worker": (0.8, 1.0), "sqlite": None}),
    Figure("batch", "published events/s, batches of 100", "pgbench", "/s", ">=",
           {"event": (3, 5), "worker": (3, 5), "sqlite": None}),
    Figure("captured", "captured events/s, not delivered", "pgbench", "/s", ">=",
           {"event": None, "worker": None, "sqlite": None}),
    Figure("way", "events/s all the way, steady", "pgbench", "/s", ">=",
           {"event": (0.4, 0.6), "worker": (0.4, 0.6), "sqlite": None}),
    Figure("way_cpu", "processor seconds, 10,000 all the way", None, " s", "<=",
           {"event": (2.8, 2.0), "worker": (2.8, 2.0), "sqlite": None}),
    Figure("single_kb", "written to disk per single event", None, " kB", "<=",
           {"event": (6, 4), "worker": (6, 4), "sqlite": (8, 5)}),
    Figure("latency_median", "commit to first byte, median", None, " ms", "<=",
           {"event": (1.0, None)}),
    Figure("latency_p99", "commit to first byte, 99 %", None, " ms", "<=",
           {"event": (10.0, None)}),
    Figure("proxied", "requests/s, no rule matches / no module", None, "", ">=",
           {"event": (0.97, 0.99)}),
    Figure("instructions", "the module's instructions, no rule matches", None, " instr.", "<=",
           {"event": (1000, None)}),
    Figure("post_kept", "the client's, a POST, connection kept", None, " instr.", "<=",
           {"event": None}),
    Figure("post_new", "the client's, a POST, a new connection", None, " instr.", "<=",
           {"event": None}),
    Figure("hang_memory", "10,000 hanging targets: memory", None, " MB", "<=",
           {"event": (300, 100)}),
    Figure("hang_latency", "10,000 hanging targets: healthy 99 %", None, "", "<=",
           {"event": (2.0, 1.2)}),
    Figure("dead_latency", "100,000 due for a dead one: healthy 99 %", None, "", "<=",
           {"event": (2.0, 1.1)}),
    Figure("claim", "claim at many deliveries / at 10 thousand", None, "", "<=",
           {"event": (2.0, 1.0)}),
    Figure("stats", "/stats of 30 days of many deliveries", None, " ms", "<=",
           {"event": (50, 10)}),
    Figure("lists", "slowest filter of a list, first page", None, " ms", "<=",
           {"event": (20, 5)}),
]
COSTS = [("single", "one per request"), ("batch", "batches of 100"),
         ("captured", "captured, not delivered"), ("way", "all the way")]
COST_COLUMNS = [("cpu_httpd", "httpd"), ("cpu_pgsql", "PostgreSQL"), ("cpu", "both"),
                ("kb", "device"), ("kb_counted", "processes"), ("kb_wal", "WAL"),
                ("kb_pages", "full pages")]
YARDSTICKS = [("pgbench", "pgbench, one-row commits/s, 64 clients"),
              ("sink", "wrk POSTing to the sink directly, 64 connections"),
              ("httpd_event", "the same POSTs, answered by httpd alone, mpm_event"),
              ("httpd_worker", "the same, mpm_worker"),
              ("plain", "proxied without the module, 64 connections")]


class Report:
    """The measurements: lists of samples by name, notes, and the load at that time."""

    def __init__(self):
        self.samples, self.loads, self.notes, self.failed = {}, {}, [], []
        self.began = time.monotonic()

    def add(self, name, value):
        self.samples.setdefault(name, []).append(value)
        self.note(f"{name}: {value:.6g}")

    def cost(self, part, column, cost):
        """Add the results of a Meter."""
        for name, value in cost.items():
            self.samples.setdefault(f"{part}_{name}_{column}", []).append(value)
        self.note(f"{part}_{column}: " + ", ".join(f"{n} {v:.3g}" for n, v in cost.items()))

    def note(self, text):
        line = f"[{time.monotonic() - self.began:5.0f} s] {text}"
        self.notes.append(line)
        print(line, flush=True)

    def fail(self, part, error):
        self.failed.append(part)
        self.note(f"{part}: FAILED: {error}")

    def load(self, name, load):
        others, stolen = load.end()
        self.loads.setdefault(name, []).append(others)
        self.note(f"{name}: others had {others} % of the processors, the host took {stolen} %")

    def median(self, name):
        return statistics.median(self.samples[name]) if name in self.samples else None

    def ratio(self, name, yardstick):
        """Return the median of the rounds' ratios; if the rounds differ, the ratio of medians."""
        values, units = self.samples.get(name), self.samples.get(yardstick)
        if not values or not units:
            return None
        if len(values) == len(units):
            return statistics.median(a / b for a, b in zip(values, units))
        return statistics.median(values) / statistics.median(units)

    def figures(self):
        """Return a row for each figure and column."""
        return [self._row(figure, column, bounds)
                for figure in FIGURES for column, bounds in figure.bounds.items()]

    def _row(self, figure, column, bounds):
        name = f"{figure.key}_{column}"
        value = self.median(name)
        compared = self.ratio(name, figure.yardstick) if figure.yardstick else value
        must, aim = bounds or (None, None)

        def reached(bound):
            if bound is None or compared is None:
                return None
            return bool(compared >= bound if figure.sign == ">=" else compared <= bound)

        return {"key": figure.key, "column": column, "title": figure.title, "value": value,
                "unit": figure.unit, "sign": figure.sign, "must": must, "aim": aim,
                "ratio": compared if figure.yardstick or figure.unit == "" else None,
                "reached": reached(must), "aim_reached": reached(aim),
                "samples": self.samples.get(name, [])}


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(row):
    """Return value, ratio, bound and verdict of a row."""
    if row["value"] is None:
        return "not measured" if row["must"] is not None else ""
    value = "" if row["unit"] == "" else number(row["value"]) + row["unit"]
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    bound = "" if row["must"] is None else f"{row['sign']}{row['must']:g}"
    verdict = {None: "", True: "yes", False: "NO"}[row["reached"]]
    return f"{value:>10} {ratio:>6} {bound:>6} {'aim' if row['aim_reached'] else verdict:3}"


def show_figures(rows):
    """Return the table: `yes` where the required figure is reached, `aim` where the one aimed at
    is, too."""
    print(f"\n{'figure':41} " + " ".join(f"| {title:28}" for title in COLUMNS.values()) + "|  aim")
    for figure in FIGURES:
        own = {row["column"]: row for row in rows if row["key"] == figure.key}
        cells = [cell(own[column]) if column in own else "" for column in COLUMNS]
        aims = dict.fromkeys(f"{row['aim']:g}" for row in own.values() if row["aim"] is not None)
        print(f"{figure.title:41} " + " ".join(f"| {text:28}" for text in cells)
              + "|  " + "; ".join(aims))


def show_costs(report):
    rows = [(part, column) for part, _ in COSTS for column in COLUMNS
            if f"{part}_cpu_{column}" in report.samples]
    if not rows:
        return
    titles = dict(COSTS)
    print(f"\n{'':44}{'processor s per 10,000 events':>34}{'kB per event: written':>24}"
          f"{'WAL; full pages in it':>24}\n{'cost':44}"
          + "".join(f"{title:>12}" for _, title in COST_COLUMNS))
    for part, column in rows:
        values = (report.median(f"{part}_{name}_{column}") for name, _ in COST_COLUMNS)
        print(f"{titles[part] + ', ' + COLUMNS[column]:44}"
              + "".join(f"{'-' if value is None else number(value):>12}" for value in values))


def show(report, rows):
    """Return everything that is printed at the end, except for the last line."""
    show_figures(rows)
    show_costs(report)
    print("\nyardsticks in this run:")
    for key, title in YARDSTICKS:
        if report.median(key) is not None:
            print(f"  {title:50} {number(report.median(key)):>10}/s")
    if report.median("instructions_plain") is not None:
        print(f"  {'instructions of such a request':50} "
              f"{number(report.median('instructions_plain')):>10}")
