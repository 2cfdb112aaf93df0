#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A subscription's members are rows of one table, as formats are; openapi.json, docs, tools and the
database's tables agree with them."""

import os
import subprocess
import sys
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import find_ctl  # noqa: E402

if (MPM, DB) != ("event", "sqlite3") or SANITIZED:
    skip_all("the table of members is the same with every distribution")


def read(*names):
    with open(os.path.join(SOURCE, *names), encoding="utf-8") as file:
        return file.read()


Member = namedtuple("Member", "kind how stored aliases low high input shown value use")
header = re.sub(r"\s*\\\n\s*", " ", read("modules", "model", "rh_subscription_members.h"))
constants = dict(re.findall(r"#define (RH_MAX_URL) (\d+)", read("modules", "model", "rh_url.h")
                            + read("modules", "base", "rh_base.h")))
kinds = dict(re.findall(r'\bX\((\w+), [^"()]+, "(\w+)"\)', header))
members = {}
for name, *row in re.findall(r'\bROW\((\w+), (\w+), (\w+), (\w+), "([^"]*)", (\w+), (\w+), (\w+),'
                             r' (\w+), (\w+), (\w+)\)', header):
    row[4:6] = [int(constants.get(value, value)) for value in row[4:6]]
    members[name] = Member(*row[:3], row[3].split(), *row[4:])
ok(len(members) > 10, f"the table has {len(members)} members")
is_({member.kind for member in members.values()}, set(kinds), "each kind has a member")
for name, member in members.items():
    ok(member.value != "SECRET" or member.shown == "CREATED", f"{name} is not shown if it is secret")

# What the API's description says
schemas = json.loads(read("conf", "openapi.json"))["components"]["schemas"]


def types(schema):
    """Return the JSON types of a schema, without null."""
    schema = schemas[schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
    given = schema.get("type", [])
    return {given} - {"null"} if isinstance(given, str) else set(given) - {"null"}


shown = schemas["Subscription"]
is_(list(shown["properties"]), list(members), "Subscription shows the members, in their order")
for name, member in members.items():
    is_(types(shown["properties"][name]), {kinds[member.kind]}, f"{name} is shown as {kinds[member.kind]}")
    if member.shown != "ALWAYS":
        ok(name not in shown["required"], f"{name} is not always shown")
BOUNDS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"),
          "integer": ("minimum", "maximum"), "object": ("minProperties", "maxProperties")}
for title in ("SubscriptionInput", "SubscriptionPatch"):
    properties = schemas[title]["properties"]
    names = {name for name, member in members.items()
             if title == "SubscriptionInput" or member.input != "CREATE"}
    names |= {alias for name in names for alias in members[name].aliases}
    is_(sorted(properties), sorted(names), f"{title} has the members and their other names")
    for name, member in members.items():
        if name not in properties or member.input == "IGNORED":
            continue
        schema = properties[name]
        is_(types(schema), {kinds[member.kind]}, f"{title}: {name} is {kinds[member.kind]}")
        is_("null" in schema["type"], member.input in ("OPTIONAL", "CREATE"),
            f"{title}: {name} may be null or not")
        low, high = BOUNDS.get(kinds[member.kind], (None, None))
        if member.high:
            is_(schema.get(high), member.high, f"{title}: {name} has its {high}")
        if member.low:
            is_(schema.get(low), member.low, f"{title}: {name} has its {low}")
required = {name for name, member in members.items() if member.input == "REQUIRED"}
is_({frozenset(one["required"][0] for one in group["oneOf"])
     for group in schemas["SubscriptionInput"]["allOf"]},
    {frozenset([name, *members[name].aliases]) for name in required},
    "SubscriptionInput requires what is required, under any of its names")

# The reference
table = re.search(r"\| member \| default \| \|\n\|---\|---\|---\|\n(.*?)\n\n", read("docs", "api.md"),
                  re.S)[1]
documented = {}
for row in table.splitlines():
    first, default, _ = [cell.strip() for cell in row.strip("|").split("|", 2)]
    name, *others = re.findall(r"`(\w+)`", first)
    documented[name] = (others, default)
settable = {name: member for name, member in members.items() if member.input != "IGNORED"}
is_(sorted(documented), sorted(settable), "docs/api.md documents the members that can be set")
for name, member in settable.items():
    others, default = documented.get(name, ([], ""))
    is_(others, member.aliases, f"{name}: with its other names")
    is_(default == "required", member.input == "REQUIRED", f"{name}: required or with a default")
header_limit = re.search(r"RH_HEADER_MAX_VALUE_BYTES (\d+)", read("modules", "model", "rh_header.h"))
for title in ("SubscriptionInput", "SubscriptionPatch"):
    fields = schemas[title]["properties"]["headers"]["additionalProperties"]
    is_(fields["maxLength"], int(header_limit[1]), f"{title}: the maximum length of a header")

# Formats: the table of rh_format.h, and the texts that list them
rows = re.findall(r'ROW\((\w+), (\w+), "([^"]+)"\)',
                  re.sub(r"\s*\\\n\s*", " ", read("modules", "model", "rh_format.h")))
formats = [name for _, name, _ in rows]
ok(len(formats) >= 4, f"there are the formats {' '.join(formats)}")
is_([constant.lower() for constant, _, _ in rows], formats,
    "the enum's constants are named after the formats")
is_(schemas["Format"]["enum"], formats, "openapi.json names them")
for title in ("SubscriptionInput", "SubscriptionPatch"):
    schema = schemas[title]["properties"]["format"]
    is_([value for value in schema.get("enum", schemas["Format"]["enum"]) if value], formats,
        f"{title} too")
sample = json.loads(read("conf", "openapi.json"))["paths"]["/event-types/{type}/sample"]["get"]
is_(set(sample["responses"]["200"]["content"]), {mime for _, _, mime in rows},
    "a sample has the content type of its format")
table = read("docs", "receivers.md").split("| format | body |\n", 1)[1].split("\n\n", 1)[0]
is_(re.findall(r"^\| `(\w+)`", table, re.M), formats, "docs/receivers.md shows them")
for words in ("varnames", "descriptions"):
    is_(len(schemas["Format"]["x-enum-" + words]), len(formats), f"the page shows {words} of each")

# resthooksctl reads them from the table.
program = find_ctl()
usage = subprocess.run([program, "subscriptions", "create", "--help"], capture_output=True, text=True,
                       check=False).stdout
is_(re.search(r"^ *--format FORMAT +(.*)$", usage, re.M)[1],
    ", ".join(formats).replace(formats[0], formats[0] + " (default)", 1),
    "resthooksctl's help lists them, the default first")

# The database.
for database in ("pgsql", "sqlite"):
    text = read("modules", "store", database, "subscription.sql")
    statements = dict(re.findall(r"^-- name: (\w+)\n(.*?);\n", text, re.M | re.S))
    for name in [name for name, member in members.items() if member.stored == "COLUMN"]:
        for statement in ("subscription_insert", "subscription_update"):
            ok(re.search(rf":{name}\b", statements[statement]), f"{database}: {statement} has {name}")
    for name in [name for name, member in members.items() if member.stored == "OPTION"]:
        ok(not re.search(rf"\b{name}\b", text), f"{database}: no statement names {name}")

# The page's form.
form = read("htdocs", "views", "edit.js")
inputs = dict(re.findall(r"^  (\w+): \{(.*?)\},$",
                         re.search(r"^const INPUTS = \{$(.*?)^\};$", form, re.M | re.S)[1],
                         re.M | re.S))
own = {"target_url", "events", "format", "headers"}
is_(set(inputs) | own | {"active"},
    {name for name, member in settable.items() if member.input != "CREATE"}, "the form has each member")
INPUTS = {"string": ("minlength", "maxlength"), "integer": ("min", "max")}
for name, text in inputs.items():
    member = members[name]
    low, high = INPUTS.get(kinds[member.kind], (None, None))
    for word, bound in ((low, member.low), (high, member.high)):
        if word and bound:
            like(text, rf'\b{word}: "{bound}"', f"the form: {name} has its {word}")
done_testing()
