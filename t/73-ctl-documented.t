#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: groff-base bash-completion
"""resthooksctl: its --help, man page and bash completion name the same commands and options."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl, find_ctl  # noqa: E402

import shutil
import subprocess

PAGE = os.path.join(SOURCE, "tools", "resthooksctl.1")
COMPLETION = os.path.join(SOURCE, "tools", "resthooksctl.bash")
LIBRARY = "/usr/share/bash-completion/bash_completion"
# The completion reads the formats from the program.
FOUND = {**os.environ, "PATH": os.path.dirname(find_ctl()) + os.pathsep + os.environ["PATH"]}
ctl = Ctl()

# --help

helped = ctl("--help").out
synopses = re.findall(r"(?m)^  ([a-z][a-z -]*?[a-z])((?: [A-Za-z|.-]*[A-Z|][A-Za-z|.0-9-]*)*)  +\S", helped)
commands = {name: arguments.strip() for name, arguments in synopses}
ok(len(commands) >= 20 and "redeliver" in commands, f"--help lists {len(commands)} commands")
options, values = {}, {}
for name in commands:
    done = ctl(*name.split(), "--help")
    found = re.findall(r"(?m)^  (--[a-z-]+)( \S+)?  +\S", done.out)
    options[name] = {option for option, _ in found} - {"--help"}
    values.update({option: value.strip() for option, value in found})
    like(done.out, rf"^usage: resthooksctl {name} \[options\] ?{re.escape(commands[name])}\n",
         f"{name} --help shows its synopsis")
    bare = ctl(*name.split(), *["019ab3bf-11aa-7e01-8d30-5b6a0a7a2f6c"] * 3,
               *(["--frob"] if commands[name].endswith("...") else []))
    is_(bare.status, 2, f"{name} takes no more arguments than it shows")
api = options["health"]
ok(api > {"--url", "--user", "--json"}, "the options of every API command are known")
variables = set(re.findall(r"RESTHOOKSCTL_[A-Z]+", helped))

# The man page

roff = open(PAGE, encoding="utf-8").read()
text = re.sub(r"\\f.", "", re.sub(r"\\-", "-", roff))
body = text[text.index(".SH COMMANDS"):text.index(".SH OPTIONS")]
entries = {}
for entry in body.split(".TP\n")[1:]:
    head, _, rest = entry.partition("\n")
    head = head.split(None, 1)[1].replace('"', "")
    words = [word for word in head.split() if not re.search("[A-Z|]", word)]
    entries[" ".join(words)] = (" ".join(head.split()[len(words):]), rest)
is_(sorted(entries), sorted(commands), "the man page has the commands of --help")
is_({name: entry[0] for name, entry in entries.items()}, commands, "it has the same arguments")
for name, (_, rest) in entries.items():
    listed = set(re.findall(r"--[a-z-]+", rest.partition("Options:")[2]))
    shared = api if "--url" in options[name] else set()
    is_(listed - shared, options[name] - shared, f"man page: the options of {name}")
section = text[text.index(".SH OPTIONS"):text.index(".SH ENVIRONMENT")]
described = dict(re.findall(r'\.TP\n\.BI? (--[a-z-]+)(?: "? ?([^"\n]*)"?)?\n', section))
is_(set(described), set.union(*options.values()) | {"--help", "--version"},
    "it describes every option")
is_({name: value for name, value in described.items() if name not in ("--help", "--version")},
    {name: value for name, value in values.items() if name != "--help"},
    "it has the same values as --help")
shared = section[:section.index(".SS Of some")]
is_(set(re.findall(r"\.TP\n\.BI? (--[a-z-]+)", shared)), api,
    "it says which options belong to every API command")
is_(set(re.findall(r"RESTHOOKSCTL_[A-Z]+", text)), variables,
    "it names the same environment variables")
source = "".join(open(os.path.join(SOURCE, "tools", name), encoding="utf-8").read()
                 for name in os.listdir(os.path.join(SOURCE, "tools")) if name.endswith(".c"))
is_(set(re.findall(r'getenv\("(\w+)"\)', source)), variables,
    "those are the ones that the program reads")
if shutil.which("groff"):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", PAGE], capture_output=True, text=True,
                          check=False)
    is_(done.stderr, "", "groff finds no fault")
else:
    skip("groff finds no fault in the man page", "it is not installed")

# The completion


def complete(line, library):
    """Return the completions offered at the end of a line, as a set."""
    script = r"""
        if [ -n "$1" ]; then . "$1"; fi
        . "$2"
        line=$3
        read -ra COMP_WORDS <<<"${line//[=:]/ & }"
        case $line in *' ') COMP_WORDS+=("") ;; esac
        COMP_LINE=$line COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_TYPE=9 COMP_KEY=9
        compopt() { :; }
        _resthooksctl
        printf '%s\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script, "bash", library, COMPLETION, line],
                          capture_output=True, text=True, check=False, timeout=60, cwd=SOURCE, env=FOUND)
    if done.stderr:
        diag(done.stderr)
    return set(done.stdout.split())


for library in [""] + ([LIBRARY] if os.path.exists(LIBRARY) else []):
    kind = "with bash-completion" if library else "alone"
    first = complete("resthooksctl ", library)
    offered = {name for name in first if name in commands}
    for group in first - offered:
        offered |= {f"{group} {word}" for word in complete(f"resthooksctl {group} ", library)}
    is_(offered, set(commands), f"completion {kind}: the commands of --help")
    for name in commands:
        is_(complete(f"resthooksctl {name} -", library) - {"--help"}, options[name],
            f"completion {kind}: the options of {name}")
    for group in first - offered:
        expected = options.get(f"{group} list", set())
        is_(complete(f"resthooksctl {group} --", library) - {"--help"}, expected,
            f"completion {kind}: {group} alone is its list")
    is_(complete("resthooksctl --", library), {"--help", "--version"},
        f"completion {kind}: an unknown command has none")
    is_(complete("resthooksctl deliveries list --state ", library),
        {"pending", "delivered", "failed", "cancelled", "any"}, f"completion {kind}: states")
    is_(complete("resthooksctl subscriptions create x --format c", library), {"cloudevents"},
        f"completion {kind}: formats")
    is_(complete("resthooksctl schema print ", library), {"pgsql", "sqlite3"},
        f"completion {kind}: dialects")
    is_(complete("resthooksctl verify READ", library), {"README"}, f"completion {kind}: files")
    is_(complete("resthooksctl --json --limit 5 deliv", library), {"deliveries"},
        f"completion {kind}: options may come first")
    is_(complete("resthooksctl --user acme replay --dr", library), {"--dry-run"},
        f"completion {kind}: values are not commands")
if os.path.exists(LIBRARY):
    is_(complete("resthooksctl --url https://api.example.com:8443/hooks replay --dr", LIBRARY),
        {"--dry-run"}, "URLs are not commands, with bash-completion")
else:
    skip("completion: URLs are not commands", "bash-completion is not installed")
done_testing()
