#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Checks the arrows between files: includes and calls point down the layers, never up, and neither
files nor folders form a circle. Prints one line per finding; exits 1 if there are any.

    t/lib/house.py [--all]      --all also prints the circles that are meant to be
"""

import collections
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LAYERS = (("modules/base/", 0), ("modules/model/", 1), ("modules/metrics/", 1),
          ("modules/store/rh_store.h", 2), ("modules/net/rh_transport.h", 2),
          ("modules/store/", 3), ("modules/net/", 3), ("modules/delivery/", 4),
          ("modules/server/", 5), ("mod_resthooks.h", 5), ("mod_resthooks.c", 6), ("tools/", 6))
# Only these layers may include httpd's headers.
HTTPD_LAYERS = (5, 6)

# Circles that are intended, with the reason.
RECURSION = {
    ("modules/model/rh_jsonpath_filter.c", "modules/model/rh_jsonpath_run.c"):
        "a query has filters, a filter has queries",
    ("modules/model/rh_jsonpath_expr.c", "modules/model/rh_jsonpath_parse.c"):
        "likewise, when they are parsed",
    ("modules/model/rh_json_schema_check.c", "modules/model/rh_json_schema_rules.c"):
        "a schema has keywords, a keyword has schemas",
    ("modules/store/common", "modules/store/pgsql", "modules/store/sqlite"):
        "rh_dialect.c lists the databases, whose functions use what is common",
}


def layer_of(path):
    return next(layer for prefix, layer in LAYERS if path.startswith(prefix))


def read_sources():
    """Read path -> text, without comments and literals."""
    sources = {}
    for pattern in ("modules/**/*.[ch]", "tools/*.[ch]", "mod_resthooks.[ch]"):
        for path in sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True)):
            with open(path, encoding="utf-8") as file:
                sources[os.path.relpath(path, ROOT)] = file.read()
    return sources


def bare(text):
    literals = r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])+\''
    return re.sub(literals, " ", text, flags=re.S)


def definitions_in(text):
    """Find functions and objects with external linkage that a file defines."""
    start = r"^(?!static|typedef|extern|return|else)[A-Za-z_]"
    names = re.findall(start + r"[\w \*]*?\b(\w+)\([^;{}]*?\)\s*\n\{", text, re.M)
    names += re.findall(start + r"[\w \*]*?\b(\w+)(?:\[[^\]\n]*\])? = ", text, re.M)
    return set(names) - {"main"}


def calls_between(sources):
    """Find file -> file -> names: what each file uses that another one defines."""
    texts = {path: bare(text) for path, text in sources.items() if path.endswith(".c")}
    owners = {}
    for path, text in texts.items():
        for name in definitions_in(text):
            owners[name] = path
    calls = collections.defaultdict(lambda: collections.defaultdict(set))
    for path, text in texts.items():
        for name in set(re.findall(r"(?<![.>\w])\w+", text)):
            if owners.get(name, path) != path:
                calls[path][owners[name]].add(name)
    return calls


def circles(arrows):
    """Find the strongly connected components of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in list(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            members = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(members) > 1:
                found.append(tuple(sorted(members)))

    sys.setrecursionlimit(5000)
    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def upward_includes(sources):
    """Find includes of a header of a higher layer, and of httpd below the server."""
    headers = {os.path.basename(path): path for path in sources if path.endswith(".h")}
    httpd = re.compile(r"#include <((?:httpd|http_\w+|ap_\w+|util_\w+|mod_\w+|mpm_\w+)\.h)>")
    for path, text in sources.items():
        for name in re.findall(r'#include "(\w+\.h)"', text):
            target = headers.get(name)
            if target and layer_of(target) > max(layer_of(path), 3 if layer_of(path) == 2 else 0):
                yield f"{path} includes {name} of a higher layer"
        if layer_of(path) not in HTTPD_LAYERS:
            for name in httpd.findall(text):
                yield f"{path} includes {name}: only modules/server knows httpd"


def by_folder(calls):
    folders = collections.defaultdict(lambda: collections.defaultdict(set))
    for path, targets in calls.items():
        for target, names in targets.items():
            if os.path.dirname(path) != os.path.dirname(target):
                folders[os.path.dirname(path)][os.path.dirname(target)] |= names
    return folders


def explain(arrows, members):
    for one in members:
        for other in members:
            names = arrows.get(one, {}).get(other)
            if one != other and names:
                yield f"    {one} uses {', '.join(sorted(names)[:5])} of {other}"


def findings():
    sources = read_sources()
    calls = calls_between(sources)
    yield from upward_includes(sources)
    for path, targets in calls.items():
        for target, names in targets.items():
            if layer_of(target) > layer_of(path):
                yield f"{path} calls {', '.join(sorted(names))} of {target}, which is above it"
    for arrows in (calls, by_folder(calls)):
        for members in circles(arrows):
            if members not in RECURSION:
                yield "circle: " + "\n".join([", ".join(members), *explain(arrows, members)])
            elif "--all" in sys.argv:
                print(f"meant: {', '.join(members)}: {RECURSION[members]}")


def main():
    found = list(findings())
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
