#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""conf/resthooks.conf names exactly the directives that exist, with their defaults, and httpd
accepts it."""

import base64
import hashlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import settings  # noqa: E402
from rhtest import *  # noqa: E402,F403

with open(os.path.join(SOURCE, "conf", "resthooks.conf"), encoding="utf-8") as file:
    sample = file.read()
httpd = Httpd(start=False, vhosts=[Vhost(enabled=False, database=False)])
# `httpd -L` lists each directive with its module.
listed = subprocess.run(httpd.command("-L"), capture_output=True, text=True, check=True,
                        env=httpd.environment()).stdout
exist = {name for name, source in re.findall(r"^(\w+) \((\S+)\)", listed, re.M)
         if name.startswith("RestHooks")}
ok(len(exist) > 20, f"httpd lists {len(exist)} directives of the module")
named = set(re.findall(r"^\s*#?(RestHooks\w*)\s", sample, re.M))
is_(sorted(named - exist), [], "the sample names only directives that exist")
is_(sorted(exist - named), [], "the sample names all directives")

# The sample shows the default of each directive that has one.
written = {name: " ".join(rest.split())
           for name, rest in re.findall(r"^\s*#?(RestHooks\w*)\s+(.*)$", sample, re.M)}
for name, row in settings.table().items():
    if row.default and name in written and row.context != "DIRECTORY" and name != "RestHooks":
        is_(written[name], row.default, f"{name} has its default")

with open(os.path.join(SOURCE, "README"), encoding="utf-8") as file:
    readme = set(re.findall(r"\bRestHooks[A-Z]?\w*", file.read()))
is_(sorted(name for name in readme - exist), [], "the README names only directives that exist")

users = httpd.path("users")
with open(users, "w", encoding="utf-8") as file:
    file.write("acme:{SHA}x\n")
conf = httpd.path("sample.conf")
with open(conf, "w", encoding="utf-8") as file:
    file.write(sample)
httpd.server_config = (f'Define RESTHOOKS_DB "host=/nowhere dbname=hooks"\n'
                       f"Define RESTHOOKS_USERS {users}\nInclude {conf}")
httpd.write_config()
good, text = httpd.check_config()
ok(good, "httpd -t accepts the sample") or diag(text)

# The lines that are commented out are valid, too.
full = re.sub(r"^#(RestHooks)", r"\1", sample, flags=re.M)
authority = Authority()
certificate, key = authority.issue("DNS:localhost", client=True)
for path, real in (("/etc/ssl/certs/internal-ca.pem", authority.file),
                   ("/etc/ssl/certs/hooks-client.pem", certificate),
                   ("/etc/ssl/private/hooks-client.key", key),
                   ("/usr/local/share/mod_resthooks/htdocs", SOURCE),
                   ("${APACHE_RUN_DIR}", httpd.path("run"))):
    ok(path in full, f"it has {path}")
    full = full.replace(path, real)
with open(conf, "w", encoding="utf-8") as file:
    file.write(full)
good, text = httpd.check_config()
ok(good, "httpd -t accepts the sample with its commented lines") or diag(text)

# It works unchanged except for this test's database.
host = Vhost(enabled=False)
running = Httpd(start=False, vhosts=[host])
digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
with open(users, "w", encoding="utf-8") as file:
    file.write(f"acme:{{SHA}}{digest}\napp:{{SHA}}{digest}\noperator:{{SHA}}{digest}\n")
with open(conf, "w", encoding="utf-8") as file:
    file.write(sample.replace("DBDriver pgsql", f"DBDriver {host.database.driver}"))
running.server_config = (f'Define RESTHOOKS_DB "{host.database.params}"\n'
                         f"Define RESTHOOKS_USERS {users}\nInclude {conf}")
running.write_config()
running.start()


def login(user):
    credentials = base64.b64encode(f"{user}:secret".encode()).decode()
    return Api(host.url + "/hooks", None, None, {"Authorization": "Basic " + credentials})


is_(host.api(None).get("/subscriptions").status, 401,
    "httpd runs with the sample, and the API requires a login")
made = login("acme").post("/subscriptions", {"target_url": "https://example.com/in",
                                             "events": ["payroll.closed"], "active": False})
is_(made.status, 201, "a user with a login can subscribe")
is_(login("app").get("/subscriptions").json, [], "the login is the tenant")
event = {"type": "payroll.closed", "data": {"id": 1}}
is_(login("acme").post("/events", event).status, 403, "a plain user must not publish")
is_(login("app").post("/events", event).status, 202, "a publisher may publish")
is_(login("app").get("/subscriptions?tenant=acme").status, 403,
    "a plain user does not see other tenants")
is_([s["id"] for s in login("operator").get("/subscriptions?tenant=acme").json],
    [made.json["id"]], "an operator sees all tenants")
done_testing()
