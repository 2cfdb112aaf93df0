#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: promtool
"""conf/grafana-dashboard.json and conf/alerts.rules.yml: the metrics that they use exist, and each
alert fires when it should and not when all is well."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from openmetrics import SUFFIXES, Metrics  # noqa: E402


def read(name):
    with open(os.path.join(SOURCE, "conf", name), encoding="utf-8") as file:
        return file.read()


httpd = Httpd(rules="")
metrics = Metrics(request("GET", httpd.url + "/hooks/metrics").text)
served = {name + suffix for name, (kind, _, _) in metrics.families.items()
          for suffix in SUFFIXES[kind]}
promtool = os.environ.get("RH_PROMTOOL") or shutil.which("promtool")


def unknown(text):
    return sorted(set(re.findall(r"\bresthooks_\w+", text)) - served)


def check(*args):
    """Return promtool's status and output."""
    done = subprocess.run([promtool, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def write(name, what):
    path = httpd.path(name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(what, file)
    return path


# The dashboard

dashboard = json.loads(read("grafana-dashboard.json"))
panels = dashboard["panels"]
expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
expressions += [note["expr"] for note in dashboard["annotations"]["list"]]
ok(len(expressions) > 30, f"the dashboard has {len(expressions)} queries")
is_({e: unknown(e) for e in expressions if unknown(e)}, {}, "they use metrics that exist")
asked = "\n".join(expressions)
is_([n for n in metrics.families if n not in asked and n not in (
    "resthooks_build", "resthooks_processes", "resthooks_spool_files")], [],
    "they use nearly all metrics")
is_(len({panel["id"] for panel in panels}), len(panels), "panels have unique ids")
cells = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"],
                                                   panel["gridPos"]["x"] + panel["gridPos"]["w"])
         for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]
is_((len(set(cells)), max(x for x, _ in cells)), (len(cells), 23), "panels do not overlap")
ok(all(panel["title"] and panel["targets"] for panel in panels if panel["type"] != "row"),
   "each panel has a title and a query")
names = {variable["name"] for variable in dashboard["templating"]["list"]}
is_(sorted(set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) -
           names - {"__rate_interval", "__range", "__all"}), [], "the variables exist")
if promtool:
    for name, value in (("$host", ".*"), ("$__rate_interval", "5m"), ("$__range", "6h")):
        expressions = [e.replace(name, value) for e in expressions]
    rules = write("dashboard.rules", {"groups": [{"name": "dashboard", "rules": [
        {"record": f"question:{number}", "expr": e} for number, e in enumerate(expressions)]}]})
    status, text = check("check", "rules", rules)
    ok(status == 0 and f"{len(expressions)} rules found" in text,
       "promtool accepts each query") or diag(text)
else:
    skip("promtool accepts each query", "promtool is not installed")

# The alerts

alerts = os.path.join(SOURCE, "conf", "alerts.rules.yml")
text = read("alerts.rules.yml")
found = re.findall(r"^      - alert: (\w+)$", text, re.M)
is_(unknown(re.sub(r"^#.*$", "", text, flags=re.M)), [], "alerts use metrics that exist")
with open(os.path.join(SOURCE, "docs", "instruments.md"), encoding="utf-8") as file:
    listed = re.findall(r"^\| `(Resthooks\w+)` \|", file.read(), re.M)
is_(listed, found, "docs/instruments.md lists them")
if not promtool:
    skip("promtool accepts the alerts", "promtool is not installed")
    done_testing()
status, said = check("check", "rules", alerts)
ok(status == 0 and f"{len(found)} rules found" in said, "promtool accepts the alerts") or diag(said)

H = '{host="h:1"}'
LE = [("1.0", 1), ("5.0", 1), ("30.0", 1), ("60.0", 1), ("300.0", 1), ("+Inf", 1)]


def buckets(name, slow, minutes=120):
    """A histogram whose values are all in the first bucket, or all above a minute."""
    return [(f'{name}_bucket{{host="h:1",le="{le}"}}',
             f"0+{0 if slow and le not in ('300.0', '+Inf') else 60}x{minutes}") for le, _ in LE]


WELL = {
    "resthooks_processes": "2x120",
    f"resthooks_database_up{H}": "1x120",
    f"resthooks_events_lost_total{H}": "0x120",
    f"resthooks_spool_files{H}": "0x120",
    f"resthooks_spool_damaged_files{H}": "0x120",
    f"resthooks_log_lines_lost_total{H}": "0x120",
    f"resthooks_backlog_oldest_seconds{H}": "2x120",
    'resthooks_database_errors_total{host="h:1",operation="commit"}': "0x120",
    'resthooks_attempts_total{host="h:1",result="2xx"}': "0+600x120",
    'resthooks_attempts_total{host="h:1",result="timeout"}': "0+6x120",
    'resthooks_deliveries_total{host="h:1",outcome="delivered"}': "0+600x120",
    'resthooks_deliveries_total{host="h:1",outcome="failed"}': "0x120",
    'resthooks_deliveries_total{host="h:1",outcome="gone"}': "0x120",
    **dict(buckets("resthooks_queue_age_seconds", False)),
    **dict(buckets("resthooks_commit_duration_seconds", False)),
}
ILL = {
    "ResthooksEventsLost": {f"resthooks_events_lost_total{H}": "0x60 1x60"},
    "ResthooksNotThere": {"resthooks_processes": "2x10 0x110"},
    "ResthooksDatabaseDown": {f"resthooks_database_up{H}": "1x10 0x110"},
    "ResthooksDatabaseErrors": {
        'resthooks_database_errors_total{host="h:1",operation="commit"}': "0+60x120"},
    "ResthooksSpoolWaits": {f"resthooks_spool_files{H}": "0x10 1x110"},
    "ResthooksSpoolDamaged": {f"resthooks_spool_damaged_files{H}": "1x120"},
    "ResthooksBacklogOld": {f"resthooks_backlog_oldest_seconds{H}": "0+60x120"},
    "ResthooksQueueSlow": dict(buckets("resthooks_queue_age_seconds", True)),
    "ResthooksAttemptsFail": {
        'resthooks_attempts_total{host="h:1",result="timeout"}': "0+900x120"},
    "ResthooksDeliveriesGivenUp": {
        'resthooks_deliveries_total{host="h:1",outcome="failed"}': "0+1x120"},
    "ResthooksSubscriptionsEnd": {
        'resthooks_deliveries_total{host="h:1",outcome="gone"}': "0+1x120"},
    "ResthooksCommitsSlow": dict(buckets("resthooks_commit_duration_seconds", True)),
    "ResthooksLogLinesLost": {f"resthooks_log_lines_lost_total{H}": "0x60 9x60"},
}
is_(sorted(ILL), sorted(found), "each alert has a case here")


def at_an_hour(series):
    """Return which alerts are firing after 65 minutes: promtool is given a wrong number of each,
    and reports the right one."""
    tests = [{"interval": "1m", "input_series": [{"series": name, "values": values}
                                                 for name, values in series.items()],
              "promql_expr_test": [
                  {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                   "eval_time": "65m", "exp_samples": [{"labels": "{}", "value": -1}]}
                  for name in found]}]
    _, text = check("test", "rules", write("story.test", {"rule_files": [alerts],
                                                          "tests": tests}))
    counts = re.findall(r'expr: "count\(ALERTS\{alertname=\\"(\w+)\\".*?got:.*?(\d+(?:E\+\d+)?)',
                        text, re.S)
    return sorted(name for name, value in counts if float(value) > 0), text


firing, said = at_an_hour(WELL)
is_(firing, [], "when all is well no alert fires") or diag(said)
for name, series in ILL.items():
    firing, said = at_an_hour({**WELL, **series})
    is_(firing, [name], f"{name} fires when it should, alone") or diag(said[:3000])
done_testing()
