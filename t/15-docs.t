#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: jq sqlite3
"""The documentation: its links resolve, and its log tags, paths and examples are those of the
module."""

import glob
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import find_ctl  # noqa: E402


def read(*names):
    with open(os.path.join(SOURCE, *names), encoding="utf-8") as file:
        return file.read()


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchors(text):
    """Return the anchors that GitHub makes of a text's headings."""
    titles = re.findall(r"^#+ (.*)$", without_code(text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(text, heading, language):
    """Return the blocks of code in a language in the section of a heading."""
    part = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.M)[1]
    part = re.split(r"^##+ ", part, maxsplit=1, flags=re.M)[0]
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", part, re.M | re.S)


# Links, and the files that are installed
pages = {os.path.relpath(path, SOURCE): read(path) for path in
         sorted(glob.glob(SOURCE + "/docs/*.md") + glob.glob(SOURCE + "/*.md"))}
makefile = read("Makefile.am").split()
shipped = [name for name in list(pages) + [os.path.relpath(path, SOURCE) for path in
                                           glob.glob(SOURCE + "/docs/*.svg")]
           if name not in makefile]
is_(shipped, [], "Makefile.am installs every text")
broken = []
for name, text in pages.items():
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        if path.endswith(".md"):
            if path not in pages or (anchor and anchor not in anchors(pages[path])):
                broken.append(f"{name}: {target}")
        elif not os.path.exists(os.path.join(SOURCE, path)):
            broken.append(f"{name}: {target}")
is_(broken, [], "all links resolve")
mentioned = {word for text in pages.values() for word in re.findall(r"`?(t/\d\d-[\w-]+\.t)\b", text)}
is_([word for word in sorted(mentioned) if not os.path.exists(os.path.join(SOURCE, word))], [],
    "all tests that are named exist")

# Log tags, each with its level
LEVELS = {"WARN": "warning"}
tags = {}
for path in glob.glob(SOURCE + "/modules/**/*.c", recursive=True) + [SOURCE + "/mod_resthooks.c"]:
    source = read(path)
    for before, tag in re.findall(r"((?:rh_log|ap_log_\w+)\([^;]*?)\"(RH\d{4})", source):
        level = re.findall(r"(?:RH_LOG|APLOG)_(?!MARK)(\w+)", before)[-1]
        tags[tag] = LEVELS.get(level, level.lower())
    for tag in re.findall(r'"(RH\d{4})\b', source):
        tags.setdefault(tag, "?")
guide = pages["docs/administration.md"]
table = dict(re.findall(r"^\| (RH\d{4}) \| (\w+) \| \S", guide.split("## Log tags")[1], re.M))
ok(len(tags) > 50, f"the source has {len(tags)} log tags")
is_(sorted(set(tags) - set(table)), [], "the table has every log tag")
is_(sorted(set(table) - set(tags)), [], "the table has no other tags")
is_({tag: level for tag, level in table.items() if level != tags.get(tag)}, {},
    "the table has the levels of the source")
named = {tag for text in pages.values() for tag in re.findall(r"\bRH\d{4}\b", text)}
is_(sorted(named - set(tags)), [], "no page names a tag that does not exist")

# The first hook, as documented except for ports and directories
config, = blocks(guide, "The first hook", "apache")
setup, story = blocks(guide, "The first hook", "sh")
backend, receiver = Backend(), Receiver()
host = Vhost(enabled=False, database=False)
httpd = Httpd(start=False, vhosts=[host])
port = free_port()
here = {"/var/lib/resthooks": httpd.path("db"), "/etc/apache2/hooks.htpasswd": httpd.path("users"),
        "http://127.0.0.1:8000": backend.url, "http://127.0.0.1:9000": receiver.url,
        "127.0.0.1:8080": f"127.0.0.1:{port}", "Listen 8080": f"Listen 127.0.0.1:{port}",
        "*:8080": f"127.0.0.1:{port}"}


def placed(text):
    for there, real in here.items():
        text = text.replace(there, real)
    return text


health, = [text for text in blocks(guide, "Watch it", "apache")]
inner, closing = placed(config).rsplit("</VirtualHost>", 1)
httpd.server_config = inner + health + "</VirtualHost>" + closing
httpd.write_config()
good, text = httpd.check_config()
ok(good, "the first hook: httpd -t takes the configuration") or diag(text)
hashed = subprocess.run(["openssl", "passwd", "-apr1", "demo"], capture_output=True, text=True,
                        check=True).stdout
with open(httpd.path("users"), "w", encoding="utf-8") as file:
    file.write("acme:" + hashed)
httpd.start()
done = subprocess.run(["bash", "-ec", placed(story).replace("curl", "curl -sS")],
                      capture_output=True, text=True, check=False)
is_((done.returncode, done.stderr), (0, ""), "the first hook: the commands work")
got = receiver.wait_for(1, "/in")
is_([post.headers.get("X-Hook-Event") for post in got], ["employee.created"],
    "the first hook: the event arrives")
url = f"http://127.0.0.1:{port}/hooks"
is_(request("GET", url + "/health").status, 200, "health needs no login")
is_(request("GET", url + "/subscriptions").status, 401, "everything else needs one")
down = json.loads(blocks(guide, "Watch it", "json")[0])
shape = request("GET", url + "/health").json
is_((sorted(down), sorted(down["checks"])), (sorted(shape), sorted(shape["checks"])),
    "health has the documented form")
if shutil.which("sqlite3"):
    command, = blocks(guide, "Backup and restore", "sh")
    command = placed(command).replace("/var/backups", httpd.path("logs"))
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=False)
    copy = subprocess.run(["sqlite3", httpd.path("logs", "hooks.db"),
                           "SELECT count(*) FROM resthooks_event"], capture_output=True, text=True,
                          check=False)
    is_((done.returncode, copy.stdout), (0, "1\n"), "a backup is made while httpd runs")
else:
    skip("a backup is made while httpd runs", "sqlite3 is not here")
httpd.stop()

# The API: every path, and the commands, which build on each other
api_page = pages["docs/api.md"]
paths = {(method, path) for path, item in json.loads(read("conf", "openapi.json"))["paths"].items()
         for method in item if method in ("get", "post", "put", "patch", "delete")}
shown = {(method.lower(), path) for methods, path in
         re.findall(r"^\| ([A-Z, ]+) `(/\S*)` \|", api_page, re.M) for method in methods.split(", ")}
is_(sorted(shown ^ paths), [], "the API's page has every method and path")
if shutil.which("jq"):
    login = Httpd(backend=backend, location="""
        SetHandler resthooks
        RestHooksTenant "%{REMOTE_USER}"
        RestHooksPublisher "%{REMOTE_USER} == 'app'"
        RestHooksAdmin "%{REMOTE_USER} == 'operator'"
        AuthType Basic
        AuthName hooks
        AuthUserFile users
        Require valid-user""", extra='RestHooksEventType payroll.closed "closed"')
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "secret"], capture_output=True,
                            text=True, check=True).stdout
    with open(login.path("users"), "w", encoding="utf-8") as file:
        file.write("".join(f"{name}:{hashed}" for name in ("acme", "app", "operator")))
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", api_page, re.M | re.S))
    commands = commands.replace("https://api.example.com/hooks", login.url + "/hooks")
    commands = commands.replace("https://acme.example/", receiver.url + "/")
    with open(login.path("commands"), "w", encoding="utf-8") as file:
        # Status codes go to a file, and responses where the page's commands expect them.
        file.write('curl() { command curl -sS -w "%{stderr}%{http_code} %{method} %{url}\\n" "$@" '
                   "2>>statuses; }\n" + commands)
    path = os.path.dirname(find_ctl()) + ":" + os.environ["PATH"]
    done = subprocess.run(["bash", "-e", "commands"], cwd=login.root, capture_output=True,
                          text=True, check=False, env={**os.environ, "PATH": path})
    with open(login.path("statuses"), encoding="utf-8") as file:
        said = file.read().splitlines()
    is_((done.returncode, len(said)), (0, commands.count("curl ")),
        "every command runs") or diag(done.stdout + done.stderr)
    is_([line for line in said if not line.startswith("2")], [],
        "every command gets a 2xx response")
    receiver.wait_for(1, "/in")
else:
    skip("every command runs", "jq is not here")

# SQL
if DB == "pgsql":
    database = Pgsql()
    at_end(database.remove)
    at_end(lambda: database.sql(f"DROP OWNED BY {role}; DROP ROLE {role}"))
    role = database.name + "_backend"
    database.sql(f"CREATE ROLE {role}; CREATE TABLE payroll (month text, closed boolean);"
                 f"INSERT INTO payroll VALUES ('2026-11', false);"
                 f"GRANT SELECT, UPDATE ON payroll TO {role}")
    database.sql(read("conf", "schema-pgsql.sql"))
    grants, transaction = blocks(guide, "Publishing in SQL", "sql")
    database.sql(grants.replace("backend;", role + ";"))
    database.sql(f"SET ROLE {role};" + transaction)
    is_(database.sql("SELECT tenant, type, client_id FROM resthooks.event"),
        [["acme", "payroll.closed", "payroll-2026-11"]], "publishing in SQL works as documented")
    for heading in ("Partitions", "Watch it"):
        for statement in blocks(guide, heading, "sql"):
            database.sql(statement)
            ok(True, f"{heading}: the statement works")
done_testing()
