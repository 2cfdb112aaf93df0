#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The benchmark: ./check --bench runs it. The method is in docs/benchmarks.md.

usage: bench.py [--quick] [--only NAME,...] BUILD-FOLDER

The build folder holds .libs/mod_resthooks.so, t/bench/sink, t/bench/claim and t/bench/posts;
bench.json is written there. The exit status is 1 if a part failed or, without --only, a figure is
missing; a measured figure below the required one does not change it.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import machine
from report import Report, show


def parts():
    """Return names and functions, in the order in which they run."""
    import backlog
    import instructions
    import isolation
    import lists
    import throughput

    return {"intake": throughput.intake, "captured": throughput.captured,
            "way": throughput.all_the_way, "sqlite": throughput.on_sqlite,
            "latency": isolation.latency, "proxied": throughput.proxied,
            "instructions": instructions.instructions, "client": instructions.client,
            "dead": isolation.dead, "hang": isolation.hanging, "claim": backlog.claim, "lists": lists.lists}


def measure(bench, report, only):
    for name, part in parts().items():
        if only and name not in only:
            continue
        report.note(f"-- {name}; load average {os.getloadavg()[0]:.2f}")
        try:
            part(bench, report)
        except (RuntimeError, OSError) as error:
            report.fail(name, error)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()  # an error of the benchmark's own: the other parts still run
            report.fail(name, repr(error))
        bench.end_servers()


def read_arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("build")
    arguments = parser.parse_args()
    arguments.build = os.path.abspath(arguments.build)
    os.environ["RH_MODULE"] = os.path.join(arguments.build, ".libs", "mod_resthooks.so")
    arguments.only = [name for name in arguments.only.split(",") if name]
    unknown = [name for name in arguments.only if name not in parts()]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts())}")
    return arguments


def run(arguments, report):
    import tools

    work = tempfile.mkdtemp(prefix="rhbench-", dir="/tmp")
    os.chmod(work, 0o755)
    bench = None
    try:
        bench = tools.Bench(arguments.build, work, arguments.quick)
        measure(bench, report, arguments.only)
    finally:
        if bench:
            bench.close()
        shutil.rmtree(work, ignore_errors=True)


def show_load(about, report):
    about["load_average_after"] = [round(value, 2) for value in os.getloadavg()]
    others = [value for values in report.loads.values() for value in values]
    if others:
        print(f"\nother processes had {min(others):.0f}-{max(others):.0f} % of the processors "
              f"while this was measured (median {statistics.median(others):.0f} %); load average "
              f"before {about['load_average_before'][0]}, after {about['load_average_after'][0]}")


def main():
    arguments = read_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    about = machine.describe()
    about["other_load"] = machine.top()
    about["quick"] = arguments.quick
    print(f"{about['cores']} cores, {about['cpu']}, {about['memory_mb']} MB; load average before: "
          + " ".join(f"{value:.2f}" for value in about["load_average_before"]))
    print("what else runs: " + (", ".join(about["other_load"]) or "nothing"), flush=True)
    report = Report()
    run(arguments, report)
    rows = report.figures()
    show(report, rows)
    show_load(about, report)
    with open(os.path.join(arguments.build, "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": about, "figures": rows, "samples": report.samples,
                   "other_cpu_percent": report.loads, "failed": report.failed,
                   "log": report.notes}, file, indent=1)
    bounded = [row for row in rows if row["must"] is not None]
    missing = [row["title"] for row in rows if row["value"] is None]
    if report.failed:
        print("FAILED: " + ", ".join(report.failed))
    if missing and not arguments.only:
        print("NOT MEASURED: " + ", ".join(dict.fromkeys(missing)))
    print(f"{sum(bool(row['reached']) for row in bounded)} of {len(bounded)} figures reached")
    return 1 if report.failed or (missing and not arguments.only) else 0


if __name__ == "__main__":
    sys.exit(main())
