#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: chromium nodejs npm php-cli
"""The page in a real browser: t/page/story.mjs tells the story.

$RH_SCREENSHOTS names a folder for the pictures of each view; without it they go with the test.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if MPM != "event" or SANITIZED:
    skip_all("the page does not depend on the distribution")
modules = os.environ.get("NODE_PATH", "-")
chromium = shutil.which("chromium")
for what, there in (("chromium", chromium), ("node", shutil.which("node")), ("php", shutil.which("php")),
                    ("playwright-core", os.path.isdir(modules + "/playwright-core")),
                    ("axe-core", os.path.isdir(modules + "/axe-core"))):
    if not there:
        skip_all(what + " is not installed")

HOURS = 23
MANY = 100000


def history(api, database):
    """Insert a day of deliveries of two subscriptions, one of which has been failing for some
    hours. Return what the charts have to show: {delivered, failed}."""
    now = int(time.time() * 1000)
    good = api.subscribe("https://payroll.example/in", ["employee.*"], description="Payroll")
    bad = api.subscribe("https://erp.example/hooks", ["employee.*"], description="Legacy ERP")
    events, deliveries, attempts, count = [], [], [], {"delivered": 0, "failed": 0}

    def uuid(at, serial):
        return f"{at >> 16:08x}-{at & 0xffff:04x}-7000-8000-{serial:012x}"

    for i in range(HOURS * 12):
        at = now - i * 300000 - 120000
        event, kind = uuid(at, i), ("created", "updated", "updated", "deleted")[i % 4]
        events.append(f"('acme-history', '{event}', 'employee.{kind}', '{i}', {at}, 'capture', "
                      f"'{{\"id\":{i},\"name\":\"Ada Lovelace\"}}')")
        for number, one in enumerate((good, bad)):
            if (i * 7 + number) % 5 == 0:
                continue
            failed = one is bad and i < 80
            state = "failed" if failed else "delivered"
            count[state] += 1
            delivery = uuid(at, 100000 + i * 2 + number)
            status = 502 if failed else 200
            deliveries.append(f"('acme-history', '{delivery}', '{event}', '{one['id']}', "
                              f"'employee.{kind}', '{state}', 1, {status})")
            attempts.append(f"('acme-history', '{uuid(at, 200000 + i * 2 + number)}', '{delivery}', "
                            f"1, {at + 20}, {30 + i * 37 % 90 + (i % 29 == 0) * 900}, {status})")
    for table, columns, rows in (
            ("event", "tenant, id, type, key, time, source, data", events),
            ("delivery", "tenant, id, event_id, subscription_id, type, state, attempt_count, "
             "last_status_code", deliveries),
            ("attempt", "tenant, id, delivery_id, number, started_at, ms, status_code", attempts)):
        database.sql(f"INSERT INTO resthooks_{table} ({columns}) VALUES {','.join(rows)}")
    for one, status in ((good, 200), (bad, 502)):
        database.sql(f"UPDATE resthooks_subscription_stat SET last_status_code = {status}, "
                     f"last_attempt_at = {now - 120000} WHERE subscription_id = '{one['id']}'")
    return {**count, "failing": bad["id"]}


def many(api, database):
    """Insert 100,000 deliveries of one day, a few of which failed; return their number."""
    one = api.subscribe("https://busy.example/in", ["employee.*"], description="Busy")
    made = int(time.time() * 1000) - HOURS * 3600000
    rows = (f"WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < {MANY - 1}),"
            f" r AS (SELECT n, {made} + n * {HOURS * 3600000 // MANY} AS at, n % 9973 = 0 AS bad"
            " FROM i), u AS (SELECT *, printf('%08x-%04x-7000-8000-%012x', at >> 16, at & 65535, n)"
            " AS id FROM r)")
    database.sql(rows + "INSERT INTO resthooks_event (tenant, id, type, key, time, source, data)"
                 " SELECT 'acme-many', id, 'employee.updated', n, at, 'capture', '{}' FROM u")
    database.sql(rows + "INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id,"
                 " type, state, attempt_count, last_status_code) SELECT 'acme-many', id, id,"
                 f" '{one['id']}', 'employee.updated', iif(bad, 'failed', 'delivered'), 1,"
                 " iif(bad, 500, 200) FROM u")
    database.sql(rows + "INSERT INTO resthooks_attempt (tenant, id, delivery_id, number,"
                 " started_at, ms, status_code) SELECT 'acme-many', id, id, 1, at, n % 70,"
                 " iif(bad, 500, 200) FROM u")
    return {"delivered": MANY - (MANY + 9972) // 9973, "failed": (MANY + 9972) // 9973}


def count_again(database):
    """Have the statistics of hours counted from the log, as an upgrade does: these rows were put
    there by hand."""
    hour = (int(time.time()) // 3600 + 1) * 3600000
    database.sql("INSERT INTO resthooks_setting (name, value) VALUES ('stats_recount',"
                 f" '{hour} {hour} ')")


def branches(api, database):
    """Insert 2,500 subscriptions older than one, and an event that 150 of them were sent."""
    one = api.subscribe("https://head.example/in", ["employee.*"], description="Head office")
    made = int(time.time() * 1000) - HOURS * 3600000
    head = f"x.tenant = 'acme-branches' AND x.{{}} = '{one['id']}'"
    rows = (f"WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 2499),"
            f" u AS (SELECT n, {made} + n AS at, printf('%08x-%04x-7000-8000-%012x',"
            f" ({made} + n) >> 16, ({made} + n) & 65535, n) AS id FROM i)")
    database.sql(rows + "INSERT INTO resthooks_subscription (tenant, id, target_url, options,"
                 " secret, base_url, created_at, updated_at) SELECT x.tenant, u.id,"
                 " x.target_url || u.n, json_object('description', 'Branch ' || u.n), x.secret,"
                 " x.base_url, u.at, u.at FROM u, resthooks_subscription x WHERE " + head.format("id"))
    for table, columns in (("pattern", "pattern, position"), ("stat", "delivered")):
        database.sql(rows + f"INSERT INTO resthooks_subscription_{table} (tenant, subscription_id,"
                     f" {columns}) SELECT x.tenant, u.id, {columns} FROM u,"
                     f" resthooks_subscription_{table} x WHERE " + head.format("subscription_id"))
    database.sql(rows + "INSERT INTO resthooks_event (tenant, id, type, key, time, source, data)"
                 " SELECT 'acme-branches', id, 'employee.created', 'k', at, 'capture', '{}'"
                 " FROM u WHERE n = 2499")
    database.sql(rows + "INSERT INTO resthooks_delivery (tenant, id, event_id, subscription_id, type,"
                 " state, attempt_count, last_status_code) SELECT 'acme-branches', u.id, e.id, u.id,"
                 " 'employee.created', 'delivered', 1, 200 FROM u, resthooks_event e"
                 " WHERE e.tenant = 'acme-branches' AND u.n < 150")
    return {"oldest": "Branch 0"}


def failures(authority):
    """Return targets that can't be reached, each for another reason: URL, what the page says, what
    to do."""
    expired = Receiver(tls=authority.context(days=-1))
    elsewhere = Receiver(tls=authority.context("DNS:elsewhere.example,IP:127.0.0.9"))
    stranger = Receiver(tls=Authority("Somebody Else").context())
    receiver.on("/moved", lambda received, number: (302, [("Location", "https://new.example/in")], b""))
    for status in (400, 404, 429, 503):
        receiver.on(f"/{status}", lambda received, number, status=status: (status,))
    return {
        "no such name": ("https://no-such-host.invalid/in", "host (was not found|could not be)",
                         "Check the host|name servers"),
        "nobody listens": (f"http://127.0.0.1:{free_port()}/in", "[Nn]o service listens", "the port"),
        "expired": (expired.url, "certificate has expired", "Renew it"),
        "another name": (elsewhere.url, "certificate is for another name", "Subscribe with a name"),
        "another authority": (stranger.url, "authority that is not trusted", "whole chain"),
        "reset": (receiver.url + "/reset", "reset the connection", "firewall"),
        "eof": (receiver.url + "/eof", "closed the connection", "crash"),
        "garbage": (receiver.url + "/garbage", "not a valid HTTP answer", "web server"),
        "redirect": (receiver.url + "/moved", "answers 302", "points: https://new.example/in"),
        "400": (receiver.url + "/400", "answers 400", "another format"),
        "404": (receiver.url + "/404", "answers 404", "typing errors"),
        "429": (receiver.url + "/429", "answers 429", "rate limit"),
        "503": (receiver.url + "/503", "answers 503", "rate limit"),
    }


receiver = Receiver()
authority = Authority()
receiver.on("/story", lambda received, number: (500, [], b"Traceback: the first one")
            if number <= 2 else (200,))
receiver.on("/bad", lambda received, number: (500, [("Content-Type", "text/plain")],
                                              b"Traceback: the ERP is down for maintenance"))
receiver.on("/gone", lambda received, number: (410,))
location = """SetHandler resthooks
    RestHooksPublisher "%{req:X-Role} == 'app'"
    RestHooksAdmin "%{req:X-Role} == 'admin'"
    Require expr "%{HTTP_COOKIE} =~ /session=1/"
"""
httpd = Httpd(retry="1s", location=location, expect=[r"AH01630: client denied"],
              targets=TARGETS + "RestHooksTargetAllow no-such-host.invalid\n",
              extra='RestHooksEventType lonely.event "concerns nobody"\n'
                    'RestHooksEventType employee.created "An employee was added"\n'
                    f"RestHooksTLSCAFile {authority.file}")
world = {"url": httpd.url, "chromium": chromium, "story": receiver.url + "/story",
         "good": receiver.url + "/in", "bad": receiver.url + "/bad",
         "gone": receiver.url + "/gone", "folder": httpd.path("db"),
         "history": history(httpd.api("acme-history", Cookie="session=1"), httpd.database)
                    if DB == "sqlite3" else None,
         "many": many(httpd.api("acme-many", Cookie="session=1"), httpd.database)
                 if DB == "sqlite3" else None,
         "branches": branches(httpd.api("acme-branches", Cookie="session=1"), httpd.database)
                     if DB == "sqlite3" else None,
         "failures": failures(authority), "screenshots": os.environ.get("RH_SCREENSHOTS") or httpd.path("screenshots")}
if DB == "sqlite3":
    count_again(httpd.database)
node = subprocess.Popen(["node", os.path.join(SOURCE, "t", "page", "story.mjs")], text=True,
                        env={**os.environ, "RH_PAGE": json.dumps(world), "HOME": httpd.root},
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
at_end(node.kill)
for line in node.stdout:
    try:
        check = json.loads(line)
        ok(check["ok"], check["name"]) or diag(check.get("why"))
    except (ValueError, TypeError):
        diag(line.rstrip())
is_(node.wait(60), 0, "the story is completed")
done_testing()
