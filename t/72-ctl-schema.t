#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl schema creates, checks and prints the tables of a database without httpd."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl  # noqa: E402

import re
import shutil
import tempfile

folder = tempfile.mkdtemp(prefix="rh-ctl-", dir="/tmp")
os.chmod(folder, 0o777)
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
database = Pgsql() if DB == "pgsql" else Sqlite(folder)
at_end(database.remove)
db = f"{database.driver}:{database.params}"
ctl = Ctl("--db", db)
version = "resthooks.schema_version" if DB == "pgsql" else "resthooks_schema_version"

done = ctl("schema", "check")
is_((done.status, done.out), (1, ""), "a database without tables does not pass the check")
like(done.err, r"^resthooksctl: the tables do not exist" if DB == "pgsql" else "no such file",
     "the error gives the reason")
if DB == "sqlite3":
    ok(not os.path.exists(database.params), "the check leaves no file")
done = ctl("schema", "upgrade")
is_((done.status, done.out), (0, "made the tables of version 4\n"),
    "the tables are created") or diag(done)
done = ctl("schema", "upgrade")
is_((done.status, done.out, done.err), (0, "the tables are of version 4, as they should be\n", ""),
    "once")
done = ctl("schema", "check")
is_((done.status, done.out, done.err), (0, "the tables are of version 4, as they should be\n", ""),
    "they pass the check")
done = Ctl(RESTHOOKSCTL_DB=db)("schema", "check")
is_(done.status, 0, "RESTHOOKSCTL_DB names the database, too")

HOUR = r"(?<=_)\d{10}"    # in the name of a partition


def structure(database):
    """Return all columns of the tables, their indexes, and functions. Partitions have their number
    instead of their time."""
    if DB == "sqlite3":
        return database.sql("SELECT m.name, c.name, c.type FROM sqlite_master m,"
                            " pragma_table_info(m.name) c WHERE m.type = 'table' UNION ALL"
                            " SELECT tbl_name, name, replace(sql, '\"', '') FROM sqlite_master"
                            " WHERE type = 'index'"
                            " ORDER BY 1, 2, 3")
    rows = database.sql("SELECT table_name, column_name, data_type FROM"
                        " information_schema.columns WHERE table_schema = 'resthooks' UNION ALL"
                        " SELECT tablename, indexname, indexdef FROM pg_indexes"
                        " WHERE schemaname = 'resthooks' UNION ALL"
                        " SELECT 'function', proname, md5(prosrc) FROM pg_proc"
                        " WHERE pronamespace = 'resthooks'::regnamespace ORDER BY 1, 2, 3")
    hours = sorted(set(re.findall(HOUR, str(rows))))
    return [[re.sub(HOUR, lambda found: str(hours.index(found[0])), text) for text in row]
            for row in rows]


made = structure(database)
if DB == "sqlite3":
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o666)
httpd = Httpd(config="RestHooksSchema check", database=database)
is_(httpd.api().get("/subscriptions").json, [], "httpd starts on them with RestHooksSchema check")
httpd.stop()

# Tables of version 1

old = Pgsql() if DB == "pgsql" else Sqlite(folder, "old")
at_end(old.remove)
with open(os.path.join(SOURCE, "t", "tables", f"1-{DB}.sql"), encoding="utf-8") as file:
    old.script(file.read())
hooks = "resthooks.hook" if DB == "pgsql" else "resthooks_subscription"
prefix = "resthooks." if DB == "pgsql" else "resthooks_"
older = Ctl("--db", f"{old.driver}:{old.params}")
PLAIN, OTHER = (f"0191f5a0-0000-7000-8000-00000000000{n}" for n in (1, 2))
HEADERS = '{"X-B":"ü \\\\ \\"2\\"","X-A":"1"}'
for id, description, headers in ((PLAIN, "", "{}"), (OTHER, 'a "quoted" one', HEADERS)):
    old.sql(f"INSERT INTO {prefix}subscription (tenant, id, target_url, description, headers,"
            f" secret, base_url, created_at, updated_at) VALUES ('acme', '{id}', 'http://x/',"
            f" '{description}', '{headers}', 'whsec_c2VjcmV0', 'http://x', 1, 1)")
done = older("schema", "check")
is_(done.status, 1, "tables of an earlier version do not pass the check")
like(done.err, "the tables are of version 1, this mod_resthooks needs 4",
     "the error gives the reason")
done = older("schema", "upgrade")
is_((done.status, done.out), (0, "brought the tables of version 1 to version 4\n"),
    "they are brought up") or diag(done)
is_(structure(old), made, "and are what new ones are")
options = {str(id): text for id, text in old.sql(f"SELECT id, options FROM {hooks}")}
is_(options[PLAIN], "{}", "a plain subscription has no options")
is_(json.loads(options[OTHER]),
    {"description": 'a "quoted" one', "headers": json.loads(HEADERS)}, "others keep theirs")
is_(list(json.loads(options[OTHER])["headers"]), ["X-B", "X-A"], "in their order")
is_(older("schema", "check").status, 0, "and pass the check")

database.sql(f"UPDATE {version} SET version = 7")
for action in ("check", "upgrade"):
    done = ctl("schema", action)
    is_(done.status, 1, f"{action} refuses tables of a later version")
    like(done.err, "the tables are of version 7, this mod_resthooks knows 4", "the error says so")
database.sql(f"UPDATE {version} SET version = 0")
done = ctl("schema", "check")
is_(done.status, 1, "a wrong earlier version is reported")

printed = Ctl()("schema", "print", "pgsql" if DB == "pgsql" else "sqlite3")
is_(printed.status, 0, "the SQL is printed")
fresh = Pgsql() if DB == "pgsql" else Sqlite(folder, "fresh")
at_end(fresh.remove)
fresh.script(printed.out)
done = Ctl("--db", f"{fresh.driver}:{fresh.params}")("schema", "check")
is_(done.status, 0, "a database made with it passes the check") or diag(done)

# Errors

unreachable = ("pgsql:host=/nonexistent dbname=x" if DB == "pgsql"
               else "sqlite3:/nonexistent/hooks.db")
done = Ctl("--db", unreachable)("schema", "upgrade")
is_((done.status, done.out), (1, ""), "a database that can't be reached ends with status 1")
like(done.err, r"no connection to the database: .*(/nonexistent|open)",
     "the error has the driver's reason")
ok("trying again" not in done.err, "the error does not promise a retry")
if DB == "pgsql":
    done = Ctl("--db", f"pgsql:{database.params} user=nobody_here password=s3cr3t")("schema", "check")
    ok(done.status == 1 and "nobody_here" in done.err and "s3cr3t" not in done.err,
       "a login that is refused gets the reason, without the password") or diag(done)
else:
    with open(os.path.join(folder, "text"), "w", encoding="utf-8") as file:
        file.write("this is not a database\n" * 100)
    done = Ctl("--db", f"sqlite3:{folder}/text")("schema", "upgrade")
    ok(done.status == 1 and "not a database" in done.err,
       "a file that is not a database is refused") \
        or diag(done)
for arguments, said in ((["schema", "check"], "which database"), (["schema"], "which of schema check"),
                        (["schema", "check", "--db", "mysql:x"], "must begin with"),
                        (["schema", "check", "--db", "pgsql"], "must begin with"),
                        (["schema", "check", "--db", "pgsql:"], "must be followed by a conninfo"),
                        (["schema", "print"], "needs pgsql|sqlite3"),
                        (["schema", "print", "oracle"], "pgsql or sqlite3, not oracle"),
                        (["schema", "print", "pgsql", "--db", db], "has no option --db")):
    done = Ctl()(*arguments)
    ok(done.status == 2 and done.out == "" and said in done.err, f"{' '.join(arguments[:3])}: {said}") \
        or diag(done)
done_testing()
