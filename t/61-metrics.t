#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: python3-prometheus-client promtool
"""/metrics: the numbers match what happened in all processes, and the format is valid."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from openmetrics import Metrics  # noqa: E402

CHILDREN = """
    ServerLimit 4
    StartServers 2
    ThreadsPerChild 16
    MaxRequestWorkers 64
    MinSpareThreads 16
    MaxSpareThreads 64
""" if MPM != "prefork" else "StartServers 2\nMinSpareServers 2\nMaxSpareServers 8\n"
TYPES = """
    RestHooksEventType sent.well "an event that is published"
    RestHooksEventType sent.ill "to a target that fails"
    RestHooksEventType sent.away "to one that is gone"
    RestHooksEventType sent.nowhere "to one that is not there"
    RestHooksEventType sent.hanging "to one that never answers"
    RestHooksEventType sent.held "to one that is paused by its answer"
    RestHooksTimeout 20s
"""
receiver, backend = Receiver(), Backend()
first = Vhost(backend=backend, extra=TYPES, retry="1s 1s")
second = Vhost(backend=backend, rules="", name="second", extra='RestHooksEventType a.b "no rules"')
httpd = Httpd(CHILDREN, children=False, vhosts=[first, second], expect=[r"exit signal Killed"])
api, app = first.api(), first.api(role="app")
HOST = f"localhost:{first.port}"


def scrape(url=None):
    answer = request("GET", (url or first.url) + "/hooks/metrics")
    if answer.status != 200:
        raise RuntimeError(f"no metrics: {answer}")
    return Metrics(answer.text)


def becomes(name, value, timeout=120, **labels):
    """Wait until a sum of samples has a value; return the last one seen."""
    seen = []

    def look():
        seen.append(scrape().sum(name, **labels))
        return seen[-1] == value
    wait_until(look, timeout, 0.1)
    return seen[-1]


def both():
    """Wait for two processes; prefork may have more."""
    return wait_until(lambda: scrape().get("resthooks_processes") >= 2)


def publish(kind, count, **fields):
    answer = app.post("/events", [{"type": kind, "data": {"n": n}, **fields}
                                  for n in range(count)])
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")


# The format

answer = request("GET", first.url + "/hooks/metrics")
is_(answer.headers["Content-Type"], "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "the metrics are OpenMetrics")
is_(answer.headers["Vary"], "Accept", "clients that ask for another type get another")
empty = Metrics(answer.text)
ok(len(empty.families) > 25, f"{len(empty.families)} families, all well-formed")
is_([n for n, (kind, _, text) in empty.families.items() if not kind or not text], [],
    "each metric has a type and a help text")
is_([n for n in empty.families if not n.startswith("resthooks_")], [],
    "each has the module's prefix")
with open(os.path.join(SOURCE, "docs", "instruments.md"), encoding="utf-8") as file:
    table = re.findall(r"^\| `(resthooks_\w+)` \| (\w+) \|([\w, ]*)\|", file.read(), re.M)
is_({name: kind for name, kind, _ in table},
    {n: kind for n, (kind, _, _) in empty.families.items()}, "docs/instruments.md lists them all")
labels = {}
for (sample, pairs), _ in empty.samples.items():
    family = next(n for n in sorted(empty.families, key=len, reverse=True) if sample.startswith(n))
    labels.setdefault(family, set()).update({n for n, _ in pairs} - {"le"})
is_({name: set(names.strip().split(", ")) - {""} for name, _, names in table if name in labels}, labels,
    "docs/instruments.md lists their labels")
is_(empty.get("resthooks_events_total", host=HOST, type="employee.created", source="capture"), 0,
    "a rule's type has a sample before anything happens")
is_(empty.get("resthooks_events_total", host=HOST, type="sent.well", source="publish"), 0,
    "so has a type that is published")
older = request("GET", first.url + "/hooks/metrics", headers={"Accept": "text/plain"})
is_(older.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8",
    "a client that accepts only text/plain gets the older format")
promtool = os.environ.get("RH_PROMTOOL") or shutil.which("promtool")
if promtool:
    done = subprocess.run([promtool, "check", "metrics"], input=older.text, text=True,
                          capture_output=True, check=False)
    is_((done.returncode, done.stdout + done.stderr), (0, ""), "promtool has no complaints")
else:
    skip("promtool has no complaints", "promtool is not installed")
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    skip("Prometheus' own reader accepts it", "python3-prometheus-client is not installed")
else:
    families = {f.name: f.type for f in text_string_to_metric_families(answer.text)}
    is_(families, {n: kind for n, (kind, _, _) in empty.families.items()},
        "Prometheus' own reader accepts it")
is_(request("HEAD", first.url + "/hooks/metrics").status, 200, "HEAD is supported")
is_(request("POST", first.url + "/hooks/metrics", {}).status, 405, "POST is not")
is_(api.get("/").json["metrics"], first.url + "/hooks/metrics", "the index links to it")

# Events in any process are counted.

ok(both(), "two processes count")
well = api.subscribe(receiver.url + "/ok", ["sent.well", "employee.created"])
ill = api.subscribe(receiver.url + "/sequence/500,302,200", ["sent.ill"])
gone = api.subscribe(receiver.url + "/status/410", ["sent.away"])
nowhere = api.subscribe(f"http://127.0.0.1:{free_port()}/", ["sent.nowhere"])
for number in range(12):
    httpd.request("POST", "/employers/acme/employees", {"name": f"n{number}"})
httpd.request("GET", "/employers/acme/employees")
publish("sent.well", 30)
publish("sent.well", 5, id="the same")
publish("sent.ill", 1)
publish("sent.away", 1)
publish("sent.nowhere", 1)
api.post(f"/subscriptions/{well['id']}/test", {"type": "sent.well"})
receiver.wait_for(12 + 31 + 1, "/ok")
is_(becomes("resthooks_deliveries_total", 45, outcome="delivered"), 45,
    "delivered: those of all sources, and the one that succeeded at last")
is_(becomes("resthooks_deliveries_total", 1, outcome="gone"), 1, "gone")
is_(becomes("resthooks_deliveries_total", 1, outcome="failed"), 1, "failed")
is_(becomes("resthooks_deliveries_unsettled", 0), 0, "everything is settled")
now = scrape()
rows = [row for s in (well, ill, gone, nowhere) for row in api.deliveries(s["id"], "?limit=500")]
is_(now.sum("resthooks_attempts_total"), sum(row["attempt_count"] for row in rows),
    "there are as many attempts as in the database")
for result, count in {"2xx": 45, "3xx": 1, "4xx": 1, "5xx": 1, "connect": 3}.items():
    is_(now.get("resthooks_attempts_total", host=HOST, result=result), count,
        f"attempts by result: {result}")
for (kind, source), count in {("employee.created", "capture"): 12, ("sent.well", "publish"): 31,
                              ("sent.well", "test"): 1, ("sent.ill", "publish"): 1,
                              ("employee.updated", "capture"): 0}.items():
    is_(now.get("resthooks_events_total", host=HOST, type=kind, source=source), count,
        f"events: {kind} by {source}")
is_(now.sum("resthooks_events_total"), len(api.get("/events?limit=500").json),
    "there are as many events as in the database")
is_(now.get("resthooks_attempt_duration_seconds_count", host=HOST), 51,
    "each attempt has a duration")
is_(now.get("resthooks_queue_age_seconds_count", host=HOST), 51,
    "each has an age, also when it was claimed")
is_(now.get("resthooks_queue_age_seconds_bucket", host=HOST, le="30.0"), 51,
    "the age is small on an idle host")
# A test delivery is stored by the API itself, not by the writers.
is_(now.get("resthooks_commit_events_sum", host=HOST), 12 + 30 + 5 + 3, "commits stored all events")
ok(now.get("resthooks_commit_events_count", host=HOST) <= 12 + 5,
   "events of one call are in one commit")
is_(now.get("resthooks_commit_duration_seconds_count", host=HOST),
    now.get("resthooks_commit_events_count", host=HOST), "each commit has a duration")
ok(now.get("resthooks_settle_deliveries_sum", host=HOST) >= 51, "outcomes were stored")
ok(now.get("resthooks_claimed_deliveries_total", host=HOST) >= 5, "retries were claimed")
for name in ("resthooks_events_lost_total", "resthooks_events_spooled_total",
             "resthooks_spool_files", "resthooks_spool_bytes", "resthooks_spool_damaged_files"):
    is_(now.get(name, host=HOST), 0, f"{name} is 0")
is_(now.sum("resthooks_database_errors_total"), 0, "the database reported no error")
is_(now.get("resthooks_database_up", host=HOST), 1, "it is up")

# The other virtual host

other = f"localhost:{second.port}"
is_(now.get("resthooks_events_total", host=other, type="a.b", source="publish"), 0,
    "the second host has its own numbers")
is_(second.api(role="app").post("/events", {"type": "a.b", "data": 1}).status, 202,
    "an event is published there")
mixed = scrape(second.url)
is_((mixed.sum("resthooks_events_total", host=other), mixed.sum("resthooks_events_total",
                                                                host=HOST)),
    (1, now.sum("resthooks_events_total")), "it is counted there only")
tenants = first.api("tenant-in-metrics", role="app")
tenants.post("/events", {"type": "sent.well", "data": {"id": "key-in-metrics"}})
text = request("GET", first.url + "/hooks/metrics").text
ok("tenant-in-metrics" not in text and "key-in-metrics" not in text and "acme" not in text,
   "no tenant's data is in the metrics")

# Work in progress, and what a killed process was working on

hanging = api.subscribe(receiver.url + "/never", ["sent.hanging"])
publish("sent.hanging", 5)
is_(becomes("resthooks_deliveries_in_flight", 5), 5, "attempts are in flight")
before = scrape()
killed = httpd.children()
for pid in killed:
    os.kill(pid, signal.SIGKILL)
ok(wait_until(lambda: not set(killed) & set(httpd.children())), "the children are killed")
ok(both(), "others take their place")
is_(becomes("resthooks_deliveries_in_flight", 0), 0,
    "their attempts are not counted as in flight any more")
after = scrape()


def went_back(old, new):
    """Return counters and buckets that have decreased."""
    suffixes = ("_total", "_bucket", "_count", "_sum")
    return [key for key, value in old.samples.items()
            if key[0].endswith(suffixes) and new.samples.get(key, 0) < value]


is_(went_back(before, after), [], "no counter decreases")
api.delete("/subscriptions/" + hanging["id"])

# The backlog, counted in the database now and then

held = api.subscribe(receiver.url + "/status/503?retry-after=3600", ["sent.held"])
publish("sent.held", 1)
receiver.wait_for(1, "/status/503")
wait_until(lambda: api.deliveries(held["id"])[0]["attempt_count"] == 1)
publish("sent.held", 6)
pending = first.database.sql("SELECT count(*) FROM " + (
    "resthooks.queue" if DB == "pgsql" else "resthooks_queue"))
is_(becomes("resthooks_backlog_pending", 7, host=HOST), 7,
    f"seven deliveries are pending ({pending!r} in the queue)")
now = scrape()
is_((now.get("resthooks_backlog_due", host=HOST),
     now.get("resthooks_backlog_oldest_seconds", host=HOST)), (0, 0),
    "none is due while the subscription has to wait")
api.delete("/subscriptions/" + held["id"])
is_(becomes("resthooks_backlog_pending", 0, host=HOST), 0,
    "none is pending after the subscription is deleted")

# A target that fails again and again

failing = api.subscribe(f"http://127.0.0.1:{free_port()}/", ["sent.nowhere"])
publish("sent.nowhere", 40)
ok(wait_until(lambda: scrape().get("resthooks_breakers", host=HOST, state="open") > 0),
   "a target that fails again and again has an open breaker")
api.delete("/subscriptions/" + failing["id"])

# Restarts

before = scrape()
ok(httpd.graceful(), "a graceful restart")
ok(both(), "the new generation counts")
after = scrape()
is_(went_back(before, after), [], "it continues from the old values: no counter decreases")
since = "resthooks_counters_start_time_seconds"
is_(after.get(since), before.get(since), "the counters' start is unchanged")
publish("sent.well", 3)
is_(becomes("resthooks_events_total", before.get(
    "resthooks_events_total", host=HOST, type="sent.well", source="publish") + 3,
    host=HOST, type="sent.well", source="publish"), before.get(
        "resthooks_events_total", host=HOST, type="sent.well", source="publish") + 3,
    "counters go on")
first.extra += 'RestHooksEventType sent.later "a new type"\n'
httpd.write_config()
ok(httpd.graceful(), "httpd restarts gracefully with another type")
fresh = scrape()
is_(fresh.get("resthooks_events_total", host=HOST, type="sent.later", source="publish"), 0,
    "the new type has samples")
ok(fresh.get(since) > before.get(since), "with other types, counters start from zero")
is_(fresh.sum("resthooks_events_total"), 0, "at 0")
publish("sent.later", 2)
is_(scrape().sum("resthooks_events_total"), 2, "and count")
done_testing()
