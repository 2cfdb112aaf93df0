#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""conf/resthooks.conf names exactly the directives that exist, and httpd takes it."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

with open(os.path.join(SOURCE, "conf", "resthooks.conf"), encoding="utf-8") as file:
    sample = file.read()
httpd = Httpd(start=False, vhosts=[Vhost(enabled=False, database=False)])
# `httpd -L`: each directive with its module.
listed = subprocess.run(httpd.command("-L"), capture_output=True, text=True, check=True).stdout
exist = {name for name, source in re.findall(r"^(\w+) \((\S+)\)", listed, re.M)
         if name.startswith("RestHooks")}
ok(len(exist) > 20, f"httpd lists {len(exist)} directives of the module")
named = set(re.findall(r"^\s*#?(RestHooks\w*)\s", sample, re.M))
is_(sorted(named - exist), [], "the sample names none that does not exist")
is_(sorted(exist - named), [], "and all that do")

with open(os.path.join(SOURCE, "README"), encoding="utf-8") as file:
    readme = set(re.findall(r"\bRestHooks[A-Z]?\w*", file.read()))
is_(sorted(name for name in readme - exist), [], "the README names none that does not exist")

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
ok(good, "httpd -t takes the sample") or diag(text)

# Every line that is commented out is right, too.
lines = [line[1:] if re.match(r"#RestHooks(EgressProxy|Spool)", line) else line
         for line in sample.splitlines()]
with open(conf, "w", encoding="utf-8") as file:
    file.write("\n".join(lines).replace("${APACHE_RUN_DIR}", httpd.path("run")) + "\n")
good, text = httpd.check_config()
ok(good, "with what is commented out as well") or diag(text)
done_testing()
