#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""docs/directives.md describes every directive as the module implements it: syntax, default,
context, range, and an example that httpd accepts."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import settings  # noqa: E402
from rhtest import *  # noqa: E402,F403

if (MPM, DB) != ("event", "sqlite3") or SANITIZED:
    skip_all("a distribution's own httpd changes nothing in the documentation")


def read(*names):
    with open(os.path.join(SOURCE, *names), encoding="utf-8") as file:
        return file.read()


page = read("docs", "directives.md")


def section(title, text):
    """Return the rows of the directive's table, and its examples."""
    rows = dict(re.findall(r"^\| (Syntax|Default|Range|Context) \| (.*) \|$", text, re.M))
    rows = {name: value.replace("\\|", "|") for name, value in rows.items()}
    return rows, re.findall(r"^```apache\n(.*?)^```$", text, re.M | re.S)


parts = re.split(r"^## (.*)$", page, flags=re.M)[1:]
documented = {title: section(title, text) for title, text in zip(parts[::2], parts[1::2])
              if title.startswith("RestHooks")}

# The reference is complete.
httpd = Httpd(start=False)
listed = subprocess.run(httpd.command("-L"), capture_output=True, text=True, check=True,
                        env=httpd.environment()).stdout
exist = dict(re.findall(r"^(RestHooks\w*) \(\S+\)\n\t.*\n\tAllowed in (.*)$", listed, re.M))
ok(len(exist) > 20, f"httpd lists {len(exist)} directives of the module")
is_(sorted(set(exist) - set(documented)), [], "the reference has all of them")
is_(sorted(set(documented) - set(exist)), [], "the reference has no others")
is_(sorted({name for name in re.findall(r"\bRestHooks[A-Z]\w*", page)} - set(exist)), [],
    "the text of the reference names no others")
sample = set(re.findall(r"^\s*#?(RestHooks\w*)\s", read("conf", "resthooks.conf"), re.M))
is_(sorted(sample ^ set(documented)), [], "conf/resthooks.conf names the same directives")

# The table of settings, from which the directives are made, agrees with the reference.
table = settings.table()
CONTEXTS = {"GLOBAL": "server", "HOST": "server, virtual host",
            "DIRECTORY": "server, virtual host, directory"}
is_(sorted(name for name in table if name.startswith("RestHooks")), sorted(exist),
    "each directive is a row of the table of settings")


# Members that belong to the kind of a row, and are set and merged with its own member.
kinds = settings.read("rh_setting_files.c", "rh_setting_kinds.c", "rh_config_proxy.c")
together = set(re.findall(r"\bto->(\w+) = from->\1;", kinds))
is_(sorted(settings.members("rh_settings_t") - {row.member for row in table.values()} - together), [],
    "each setting has a row, and with it a default, a merge rule and a scope of sharing")
settled = re.findall(r"rh_kind_(\w+) = \{\s*([^}]*)\}", kinds)
for kind, text in settled:
    fields = [field.strip() for field in text.split(",")]
    share = {row.share for row in table.values() if row.kind == kind}
    ok(fields[3].startswith("SCALAR_FUNCTIONS") or fields[4] != "NULL", f"{kind}: it merges")
    ok(share == {"SITE"} or fields[3].startswith("SCALAR_FUNCTIONS") or fields[5] != "NULL",
       f"{kind}: it can be compared where hosts may not share it")

UNITS = {"ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


def duration(text):
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()
    return int(number) * UNITS[unit]


for name in sorted(documented):
    rows = documented[name][0]
    row = table[name]
    shown = rows.get("Default", "")
    if row.default is None:
        ok(shown and (not shown.startswith("`") or name in ("RestHooksSpool", "RestHooksLog")),
           f"{name}: the reference says that it has no default, or where it comes from")
    else:
        is_(shown, f"`{row.default}`", f"{name}: default")
    is_(rows.get("Context"), CONTEXTS[row.context], f"{name}: context")
    if row.low is not None and row.high is not None:
        is_(rows.get("Range"), f"`{row.low}` to `{row.high}`", f"{name}: range")

# httpd -t accepts the examples, and refuses them outside of their contexts.
authority = Authority()
certificate, key = authority.issue("DNS:localhost", client=True)
FILES = {"/etc/ssl/certs/internal-ca.pem": authority.file,
         "/etc/ssl/certs/hooks-client.pem": certificate,
         "/etc/ssl/private/hooks-client.key": key}


def takes(server="", vhost=""):
    httpd.vhosts = [Vhost(rules="", retry=None, targets="", extra=vhost)]
    httpd.server_config = f"DBDriver sqlite3\nDBDParams {httpd.path('db', 'server.db')}\n{server}"
    httpd.write_config()
    return httpd.check_config()


SECTION = '<Location "/place">\n{}\n</Location>'
for name, (rows, examples) in sorted(documented.items()):
    contexts = rows.get("Context", "").split(", ")
    ok(set(contexts) <= {"server", "virtual host", "directory"}, f"{name}: known contexts")
    is_("directory" in contexts, "anywhere" in exist.get(name, ""),
        f"{name}: the reference and httpd -L tell the same of directories")
    ok(rows.get("Syntax", "").startswith(f"`{name} "), f"{name}: its syntax begins with its name")
    ok(examples and all(f"{name} " in example for example in examples),
       f"{name}: there is an example")
    for example in examples:
        for path, real in FILES.items():
            example = example.replace(path, real)
        places = {"server": takes(server=example), "virtual host": takes(vhost=example),
                  "directory": takes(vhost=SECTION.format(example))}
        for place, (taken, text) in places.items():
            wanted = place in contexts
            what = "is taken" if wanted else "is refused"
            if not ok(taken == wanted and (wanted or example.split()[0] in text),
                      f"{name}: the example {what} in the context {place}"):
                diag(text)
others = re.findall(r"^```apache\n(.*?)^```$", parts[-1], re.M | re.S)
for example in others:
    taken, text = takes(vhost=example)
    ok(taken, "httpd -t accepts the examples of other modules' directives") or diag(text)

# The ends of each range are accepted, their outer neighbours refused.
RANGE = r"`(\w+)` to `(\w+)`"
for name, (rows, _) in sorted(documented.items()):
    if "Range" not in rows:
        continue
    low, high = re.fullmatch(RANGE, rows["Range"]).groups()
    if low.isdigit():
        outside = [str(int(low) - 1), str(int(high) + 1)]
    else:
        smallest = duration(low) // 1000 - 1
        outside = [f"{smallest}ms", f"{duration(high) // 1000 + 1}ms"]
    place = "vhost" if "virtual host" in rows["Context"] else "server"
    more = "\nRestHooksTimeout 10m" if name == "RestHooksConnectTimeout" else ""
    for value in (low, high):
        taken, text = takes(**{place: f"{name} {value}{more}"})
        ok(taken, f"{name} {value} is taken") or diag(text)
    for value in outside:
        taken, text = takes(**{place: f"{name} {value}{more}"})
        ok(not taken and name in text, f"{name} {value} is refused") or diag(text)
done_testing()
