#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Jobs: replays and bulk redeliveries run in chunks, and can be watched and cancelled."""

import contextlib
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver = Receiver()
httpd = Httpd(rules='RestHooksEventType row.made "of some key"',
              extra="RestHooksTenantRequests 64\nRestHooksDisableAfter never",
              # SQLite's writer in here keeps all others waiting for a while.
              expect=[r"RH0308: ", r"RH0309: "] if DB == "sqlite3" else [])
api, app, other = httpd.api(), httpd.api(role="app"), httpd.api("other")
good = api.subscribe(receiver.url + "/good", ["row.made"])
bad = api.subscribe(receiver.url + "/bad", ["row.made"])
COUNT = 2500
for begin in range(0, COUNT, 500):
    answer = app.post("/events", [{"type": "row.made", "data": {"id": n}}
                                  for n in range(begin, begin + 500)])
    is_(answer.status, 202, f"{begin} to {begin + 500} are published")


def ids(path):
    return {json.loads(post.body)[0]["id"] for post in receiver.received(path)}


def failed():
    answer = api.post("/deliveries/redeliver", {"filter": {"state": "failed"}, "dry_run": True})
    return answer.json["matching"]


ok(wait_until(lambda: len(ids("/good")) == COUNT, 300), "all deliveries to a good target arrive")
ok(wait_until(lambda: len(ids("/bad")) == COUNT, 300), "everywhere")
ok(wait_until(lambda: not api.get("/deliveries?state=pending").json, 300), "nothing is pending")
# As after an outage of that target
httpd.database.sql(f"UPDATE {'resthooks.' if DB == 'pgsql' else 'resthooks_'}delivery SET"
                   f" state = 'failed', last_status_code = 503 WHERE subscription_id = '{bad['id']}'")
is_(failed(), COUNT, "those to one target have failed")
receiver.clear()

# By a filter
answer = api.post("/deliveries/redeliver", {"filter": {"state": "failed", "status": "5xx",
                                                       "subscription": bad["id"]}})
is_((answer.status, answer.json["kind"], answer.json["filter"]["status"]),
    (202, "redeliver", "5xx"), "a bulk redelivery is a job")
location = answer.headers["Location"]
ok(location.endswith("/jobs/" + answer.json["id"]), "the job has a URL of its own")
ok(wait_until(lambda: api.get(location).json["state"] == "done", 300), "the job is done in the end")
job = api.get(location).json
is_((job["done"], job["total"]), (COUNT, COUNT), "it counts what it did")
ok(wait_until(lambda: len(ids("/bad")) == COUNT, 300), "all of them arrive now")
ok(not receiver.received("/good"), "those alone")
is_(failed(), 0, "none is failed any more")

# By the contents of the events
done = api.post("/deliveries/redeliver", {"filter": {"q": '"ID": 7}', "subscription": bad["id"]},
                                          "dry_run": True}).json["matching"]
is_(done, 1, "a filter may use the events' contents")
receiver.clear()
answer = api.post("/deliveries/redeliver", {"filter": {"key": "8", "source": "publish"}})
ok(wait_until(lambda: api.get(answer.headers["Location"]).json["state"] == "done", 300),
   "a job may use that filter, too")
ok(wait_until(lambda: ids("/bad") == ids("/good") == {8}, 300), "the job sends what it found")

# A replay of everything
receiver.clear()
answer = api.post(f"/subscriptions/{good['id']}/replay",
                  {"from": "2026-01-01T00:00:00Z", "state": "any"})
is_((answer.status, answer.json["job"]["kind"]), (202, "replay"), "a replay is a job, too")
again = api.post(f"/subscriptions/{good['id']}/replay",
                 {"from": "2026-01-01T00:00:00Z", "state": "any"})
is_(again.status, 202, "a second one at the same time is accepted")
jobs = [answer.json["job"]["id"], again.json["job"]["id"]]
ok(wait_until(lambda: all(api.get("/jobs/" + one).json["state"] == "done" for one in jobs), 300),
   "both are done in the end")
ok(wait_until(lambda: len(ids("/good")) == COUNT, 300), "every event arrives again")
listed = api.get("/jobs?limit=2")
is_([row["id"] for row in listed.json], jobs[::-1], "jobs are listed, newest first")
ok(listed.next, "the list has pages")

# The database refuses jobs now.
replay = lambda: api.post(f"/subscriptions/{good['id']}/replay", {"from": "2026-01-01T00:00:00Z"})
if DB == "pgsql":
    httpd.database.sql("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                       " RAISE 'full' USING ERRCODE = '53100'; END $$;"
                       " CREATE TRIGGER full_disk BEFORE INSERT ON resthooks.job"
                       " FOR EACH ROW EXECUTE FUNCTION full_disk()")
    answer = replay()
    httpd.database.sql("DROP FUNCTION full_disk CASCADE")
else:
    with contextlib.closing(sqlite3.connect(httpd.database.params, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        answer = replay()
        writer.execute("ROLLBACK")
is_((answer.status, bool(answer.headers["Retry-After"])), (503, True),
    "the client is asked to retry a replay that the database can't store")
is_([row["id"] for row in api.get("/jobs?limit=2").json], jobs[::-1], "no job was made")

# Other tenants, cancelling, invalid input
is_((other.get("/jobs").json, other.get("/jobs/" + jobs[0]).status,
     other.delete("/jobs/" + jobs[0]).status), ([], 404, 404), "another tenant sees no jobs")
is_(api.delete("/jobs/" + jobs[0]).json["state"], "done", "a job that has ended can't be cancelled")
httpd.database.sql("UPDATE resthooks.job SET state = 'running', updated_at = 9e15" if DB == "pgsql"
                   else "SELECT 1")
if DB == "pgsql":
    is_(api.delete("/jobs/" + jobs[0]).json["state"], "cancelled", "a running job can be cancelled")
    httpd.database.sql("UPDATE resthooks.job SET state = 'done' WHERE state = 'running'")
for body, field in (({}, "filter"), ({"filter": 1}, "filter"), ({"filter": {"x": "y"}}, "filter.x"),
                    ({"filter": {}, "dry_run": 1}, "dry_run"), ({"filter": {}, "more": 1}, "more"),
                    ({"filter": {"state": 1}}, "filter.state")):
    answer = api.post("/deliveries/redeliver", body)
    is_((answer.status, [e["field"] for e in answer.json.get("errors", [])]), (422, [field]),
        f"{json.dumps(body)}: {field} is bad")
is_(api.post("/deliveries/redeliver", {"filter": {"state": "none"}}).status, 400,
    "an unknown state is refused")
api.patch(f"/subscriptions/{good['id']}", {"active": False})
is_(api.post(f"/subscriptions/{good['id']}/replay", {"from": "2026-01-01T00:00:00Z"}).status, 409,
    "a paused subscription has no replay")
done_testing()
