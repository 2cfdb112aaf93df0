#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl schema upgrade: tables of every earlier version, with rows in every state."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl  # noqa: E402

import shutil
import sqlite3
import tempfile
import threading

PREFIX = "resthooks." if DB == "pgsql" else "resthooks_"
TRUE, FALSE = ("true", "false") if DB == "pgsql" else ("1", "0")
HEADERS = '{"X-A":"1"}'
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
NOW = int(time.time() * 1000)
HOUR = 3600000
EXTRA = 'RestHooksEventType thing.made "of tables of an earlier version"'
receiver = Receiver()
folder = tempfile.mkdtemp(prefix="rh-upgrade-", dir="/tmp")
os.chmod(folder, 0o777)
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))


def make_id(number, ms=NOW):
    """A UUIDv7 of a time."""
    return f"{ms >> 16:08x}-{ms & 0xffff:04x}-7{number:03x}-a000-00000000{number:04x}"


ALL, ORDERED = make_id(1, NOW - HOUR), make_id(2, NOW - HOUR)


class Tables:
    """A database with the tables of a version."""

    def __init__(self, version):
        self.version = version
        self.database = Pgsql() if DB == "pgsql" else Sqlite(folder, f"version{version}")
        at_end(self.database.remove)
        path = os.path.join(SOURCE, "t", "tables", f"{version}-{DB}.sql")
        with open(path, encoding="utf-8") as file:
            self.database.script(file.read())
        self.ctl = Ctl("--db", f"{self.database.driver}:{self.database.params}")

    def insert(self, table, **values):
        quoted = ", ".join("NULL" if value is None else
                           str(value) if value in (TRUE, FALSE) or isinstance(value, int) else
                           "'" + value.replace("'", "''") + "'" for value in values.values())
        self.database.sql(f"INSERT INTO {PREFIX}{table} ({', '.join(values)}) VALUES ({quoted})")

    def structure(self):
        if DB == "pgsql":
            return self.database.sql("SELECT table_name, column_name FROM information_schema.columns"
                                     " WHERE table_schema = 'resthooks' ORDER BY 1, 2")
        return self.database.sql("SELECT name, sql FROM sqlite_master ORDER BY 1")

    def subscribe(self, id, path, ordered, **stats):
        self.insert("subscription", tenant="acme", id=id, target_url=receiver.url + path,
                    description="of old", format="array", headers=HEADERS,
                    ordered=TRUE if ordered else FALSE, secret=SECRET, base_url="http://x/hooks",
                    created_at=NOW - HOUR, updated_at=NOW - HOUR)
        self.insert("subscription_event", tenant="acme", pattern="*", subscription_id=id, position=0)
        self.insert("subscription_stat", tenant="acme", subscription_id=id, **stats)

    def event(self, number, client_id=None):
        self.insert("event", tenant="acme", id=make_id(number), type="thing.made", key="k",
                    client_id=client_id, time=NOW, source="published", data=f'{{"n":{number}}}')
        if client_id:
            self.insert("idempotency", tenant="acme", client_id=client_id,
                        event_id=make_id(number), created_at=NOW)

    def attempt(self, number, of, attempt, status):
        self.insert("attempt", tenant="acme", id=make_id(0x200 + number * 8 + attempt),
                    delivery_id=make_id(0x100 + of), number=attempt, started_at=NOW + attempt, ms=7,
                    status_code=status, headers="{}", answer=f"answer {attempt}")

    def delivery(self, number, subscription, state, statuses=(), queue=None):
        """An event with one delivery. `queue`: columns of its row there."""
        self.event(number, "seen" if number == 1 else None)
        self.insert("delivery", tenant="acme", id=make_id(0x100 + number), event_id=make_id(number),
                    subscription_id=subscription, type="thing.made", state=state,
                    attempt_count=len(statuses), last_status_code=statuses[-1] if statuses else 0)
        for attempt, status in enumerate(statuses, 1):
            self.attempt(number, number, attempt, status)
        if queue is not None:
            self.insert("queue", tenant="acme", delivery_id=make_id(0x100 + number),
                        subscription_id=subscription, event_id=make_id(number),
                        **{"due_at": NOW, "attempt_count": len(statuses), **queue})

    def fill(self):
        self.subscribe(ALL, "/all", False, delivered=2, failed=1, last_status_code=500,
                       last_attempt_at=NOW)
        self.subscribe(ORDERED, "/ordered", True)
        self.delivery(1, ALL, "pending", queue={})
        self.delivery(2, ALL, "pending", queue={"lease": 77, "due_at": NOW + 1500})
        self.delivery(3, ALL, "pending", (500,), {"tries": 1, "due_at": NOW + HOUR})
        self.delivery(4, ALL, "pending", (200,), {})
        self.delivery(5, ALL, "delivered", (503, 200))
        self.delivery(6, ALL, "failed", (500, 404))
        self.delivery(7, ALL, "cancelled")
        self.delivery(8, ORDERED, "pending", queue={"order_key": "k"})
        self.delivery(9, ORDERED, "pending", queue={"order_key": "k", "lease": -1,
                                                    "due_at": NOW + HOUR})
        if self.version >= 3:
            self.event(10)
            self.insert("expansion", tenant="acme", event_id=make_id(10), after_id=make_id(0, 0),
                        until_id=ORDERED, created_at=NOW)
            self.insert("job", tenant="acme", id=make_id(11), kind="redeliver", filter="{}",
                        spec=json.dumps({"state": 2, "end": "f" * 8 + "-ffff" * 3 + "-" + "f" * 12}),
                        cursor="f" * 8 + "-ffff" * 3 + "-" + "f" * 12, created_by="old",
                        created_at=NOW, updated_at=NOW)


def numbers(path):
    return [json.loads(request.body)[0]["n"] for request in receiver.received(path)]


def check_plan(tables):
    before = tables.structure()
    done = tables.ctl("schema", "upgrade", "--plan")
    is_((done.status, done.err), (0, ""), "an upgrade can be planned") or diag(done)
    like(done.out, rf"^The tables are of version {tables.version}: they would be brought to version 4",
         "the plan says from where to where")
    like(done.out, r"\n  ALTER TABLE .* RENAME COLUMN ordered TO in_order\n", "it has each statement")
    like(done.out, r"UPDATE [^\n]* SET options [^\n]* \[rows: 2\]\n", "and what rows are concerned")
    like(done.out, r"\nThe tables would be locked for about 0\.\d s\.\nNothing was changed\.\n$",
         "and how long it takes")
    is_(tables.structure(), before, "a plan changes nothing")


def check_lists(api, version):
    """What was not sent again is shown as it was."""
    rows = {row["event_id"]: row for row in api.get("/deliveries?limit=500").json}
    shown = {number: rows[make_id(number)] for number in range(1, 10)}
    is_(len(rows), 9 + (version >= 3), "each delivery is listed once")
    is_((shown[3]["state"], shown[3]["attempt_count"], shown[3]["last_status_code"]),
        ("pending", 1, 500), "one that has failed once is pending, with its status")
    is_((shown[5]["state"], shown[7]["state"]), ("delivered", "cancelled"),
        "others have ended as they had")
    is_([row["event_id"] for row in api.get("/deliveries?state=pending&status=5xx").json],
        [make_id(3)], "a pending one is found by its status")
    for number, statuses in ((3, [500]), (5, [503, 200])):
        attempts = api.get("/deliveries/" + shown[number]["id"]).json["attempts"]
        is_([(a["number"], a["status_code"], a["answer"])
             for a in attempts],
            [(n, status, f"answer {n}") for n, status in enumerate(statuses, 1)],
            "its attempts are there")


def check_sent(api, version):
    again = [6] if version >= 3 else []
    both = [10] if version >= 3 else []
    ok(wait_until(lambda: sorted(numbers("/all")) == sorted([1, 2, 4] + again + both)),
       "what was pending is sent, leased or not, and what a job or an expansion had to send") or \
        diag(numbers("/all"))
    ok(wait_until(lambda: numbers("/ordered") == [8, 9] + both), "in order where it has to be") or \
        diag(numbers("/ordered"))
    state = {1: "delivered", 4: "delivered", 6: "delivered" if version >= 3 else "failed"}

    def states():
        rows = {row["event_id"]: row for row in
                api.get(f"/subscriptions/{ALL}/deliveries?limit=500").json}
        return {number: rows[make_id(number)]["state"] for number in state}
    ok(wait_until(lambda: states() == state), "and is shown as delivered") or diag(states())
    row = api.get(f"/deliveries/{make_id(0x104)}").json
    is_([a["status_code"] for a in row["attempts"]], [200, 200],
        "one that was sent again has its first attempt, too")


def run_sql(database, text):
    """The message of the error that a statement of an earlier version gets; None if it works."""
    try:
        if DB == "pgsql":
            database.sql("\\set VERBOSITY verbose\n" + text)
        else:
            database.sql(text)
        return None
    except (RuntimeError, sqlite3.Error) as error:
        return str(error)


def check_earlier(database):
    """A host of an earlier version that still runs spools its events: 0.1 after these words alone."""
    event = PREFIX + "subscription_event"
    subscription = PREFIX + "subscription"
    commit = (f"SELECT t.subscription_id, NOT s.ordered FROM {event} t JOIN {subscription} s"
              " ON s.tenant = t.tenant AND s.id = t.subscription_id WHERE t.tenant = 'acme'")
    claim = (f"SELECT s.state, CASE WHEN s.ordered THEN 1 ELSE 0 END FROM {subscription} s"
             f" WHERE s.tenant = 'acme' AND s.id = '{ALL}'")
    settle = (f"UPDATE {subscription} AS s SET state = 'gone', state_reason = 'x', updated_at = 1,"
              f" revision = s.revision + 1 WHERE s.tenant = 'acme' AND s.id = '{ALL}'"
              " AND s.state = 'active' RETURNING tenant, id, state")
    if DB == "pgsql":
        like(run_sql(database, commit), "55000: the database system is used by a later",
             "an earlier host's commit fails as if the database was out of reach")
        like(run_sql(database, claim), "55000: the database system is", "so do its claims")
    else:
        like(run_sql(database, commit), "database is locked until this host has",
             "an earlier host's commit fails as if the database was out of reach")
        like(run_sql(database, claim), "no such column: s.ordered", "its claims fail, too")
    is_(run_sql(database, settle), None, "it can still settle")
    is_(database.sql(f"SELECT state FROM {subscription} WHERE id = '{ALL}'"), [["gone"]],
        "which has its effect")


for version in (1, 2, 3):
    receiver.clear()
    tables = Tables(version)
    tables.fill()
    check_plan(tables)
    if DB == "pgsql" and version == 3:
        # An upgrade that was ended while it prepared, and a change by a host after that
        tables.database.sql("ALTER TABLE resthooks.subscription ADD COLUMN options text NOT NULL"
                            """ DEFAULT '{"description": "of older"}'""")
    done = tables.ctl("schema", "upgrade")
    is_((done.status, done.out), (0, f"brought the tables of version {version} to version 4\n"),
        f"tables of version {version} are upgraded") or diag(done)
    if DB == "sqlite3":
        for name in os.listdir(folder):
            os.chmod(os.path.join(folder, name), 0o666)
    httpd = Httpd(config="RestHooksSchema check", database=tables.database, extra=EXTRA)
    api = httpd.api()
    check_sent(api, version)
    check_lists(api, version)
    subscription = api.get(f"/subscriptions/{ALL}").json
    is_((subscription["description"], subscription["headers"], subscription["ordered"]),
        ("of old", {"X-A": "1"}, False), "a subscription keeps its members")
    is_(api.get(f"/subscriptions/{ORDERED}").json["ordered"], True, "and its order")
    counted = subscription["stats"]
    is_((counted["delivered"], counted["failed"], counted["pending"]),
        (2 + 3 + 2 * (version >= 3), 1, 1), "its counters go on")
    answer = httpd.api(role="app").call("POST", "/events", {"type": "thing.made", "id": "seen",
                                                            "data": {}})
    is_((answer.status, answer.json["ids"]), (202, [make_id(1)]), "a key of old is still known")
    httpd.stop()
    check_earlier(tables.database)

# Tables that are locked.

if DB == "pgsql":
    tables = Tables(3)
    tables.fill()
    before = tables.structure()

    def hold():
        """Read in a transaction that is ended by the test."""
        try:
            tables.database.sql("BEGIN; SET application_name = 'a long query';"
                                " SELECT count(*) FROM resthooks.event; SELECT pg_sleep(300)")
        except RuntimeError:
            pass

    held = threading.Thread(target=hold)
    held.start()
    wait_until(lambda: tables.database.sql("SELECT count(*) FROM pg_stat_activity WHERE"
                                           " application_name = 'a long query' AND datname ="
                                           " current_database()") == [["1"]])
    done = tables.ctl("schema", "upgrade")
    is_((done.status, done.out), (1, ""), "an upgrade gives up while somebody uses the tables") or \
        diag(done)
    like(done.err, r"locked by process \d+ of the database \(a long query\), whose transaction began"
                   r" \d+ s ago: nothing was changed", "the error says who does")
    is_(tables.structure(), before, "nothing is half done")
    tables.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'a long query' AND datname = current_database()")
    held.join()
    done = tables.ctl("schema", "upgrade")
    is_((done.status, done.out), (0, "brought the tables of version 3 to version 4\n"),
        "afterwards it can be done") or diag(done)
done_testing()
