#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Finds words that the project does not use (docs/glossary.md), references that lead nowhere, and
@param names that are not parameters. Prints one line per finding; exits 1 if there are any.

    t/lib/language.py [FILE...]      all tracked sources and texts by default
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Pattern -> what to write instead. Words of one meaning in the field have one spelling here.
WORDS = {
    r"whoever|whosoever|\bwhom\b": "the process, the caller, the owner",
    r"\bso many\b": "maximum, limit, count",
    r"\bso long\b": "how long; a duration with its name",
    r"(?<!\bthere )\b(is|are|was|were) no (?!longer\b|more\b|less\b|effect\b|later\b|earlier\b)": "is not a ...",
    r"\bbehind\b(?! (a|an|the|httpd|Apache|your|its) ?(\w+ )?(proxy|proxies|balancer|NAT|TLS)?)":
        "after, past",
    r"\banew\b": "again",
    r"\bmeanwhile\b": "in the meantime; while ...",
    r"\bnobody\b": "no process, no caller",
    r"\b(can't|cannot|can not) be (taken|made|told)\b": "what failed, on what",
    r"\bpatience\b": "time-out",
    r"\b(that|which) (is|are) none\b": "not valid, missing",
    r"\b(one|once|twice) an? (connection|process|request|row)\b": "per",
    r"\b(answers?|rows?|lines?|calls?|places?) of before\b": "earlier ...",
    r"\bgood-?bye\b": "the end of the connection, close_notify",
    r"\bthe (client|caller|target)'s answer\b|\b(an|no) answer (is|was|of|from|that)\b": "response",
    r"\b(is|are|was) told (of|about|once|likewise|apart)\b": "reported, logged",
    r"\bas good a one\b|\bof these alone\b|\bthe one who\b": "plain words",
}
CODE = ("modules/**/*.[ch]", "tools/*.[ch]", "mod_resthooks.[ch]", "modules/**/*.sql",
        "conf/*.sql", "conf/resthooks.conf", "htdocs/**/*.js", "htdocs/*.html")
TESTS = ("t/*.t", "t/lib/*", "t/bench/*", "t/chaos/*.py", "t/demo/*.py", "t/debian/*", "t/page/*.mjs",
         "t/fuzz/*.c", "t/unit/*.[ch]", "check", "quickstart")
TEXTS = ("README", "CHANGES", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "tools/*.1",
         "debian/README.Debian", "conf/openapi.json")
# In tests this is a user or a tenant.
DATA = r"\bnobody\b"
# These files quote words that must not be used.
EXEMPT = ("docs/glossary.md", "t/lib/language.py")


def expand(patterns):
    for pattern in patterns:
        yield from sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))


def words_of(path, text):
    """Find (line number, finding) of words that must not be used; in code, only in comments and
    literals."""
    code = path.endswith((".c", ".h"))
    for number, line in enumerate(text.split("\n"), 1):
        if code:
            line = re.sub(r"\b[a-z]\w*_\w+\b", "", line)  # identifiers
        for pattern, instead in WORDS.items():
            if pattern == DATA and os.path.relpath(path, ROOT).startswith(("t/", "quickstart")):
                continue
            found = re.search(pattern, line, re.I)
            if found:
                yield number, f'"{found.group().strip()}": say {instead}'


def names_in(text):
    """Identifiers outside of comments and literals."""
    bare = re.sub(r"/\*.*?\*/|//[^\n]*|\"(\\.|[^\"\\])*\"", " ", text, flags=re.S)
    return set(re.findall(r"\b[A-Za-z_]\w*\b", bare))


def comments_of(text):
    for comment in re.finditer(r"/\*.*?\*/", text, re.S):
        yield text.count("\n", 0, comment.start()) + 1, comment.group()


def references_of(text, files, names):
    """Find references in comments to files and functions that do not exist."""
    for number, comment in comments_of(text):
        for found in re.finditer(r"\brh_\w+\.[ch]\b(?!\w)|\bctl_\w+\.[ch]\b", comment):
            line = number + comment.count("\n", 0, found.start())
            if found.group() not in files:
                yield line, f"{found.group()}: no such file"
        for found in re.finditer(r"\b(rh_[a-z0-9_]+)\b(?!\.[ch]|\*|…|\.\.\.)", comment):
            line = number + comment.count("\n", 0, found.start())
            name = found.group(1)
            if name not in names and not name.endswith("_"):
                yield line, f"{name}: named in a comment, defined nowhere"


def params_of(text):
    """Find @param names before a declaration that does not have such a parameter."""
    for found in re.finditer(r"(/\*\*(?:[^*]|\*(?!/))*\*/)\s*([^;{]*)[;{]", text):
        named = re.findall(r"@param\s+(\w+)", found.group(1))
        known = set(re.findall(r"\b\w+\b", found.group(2)))
        for name in named:
            if name not in known:
                yield text.count("\n", 0, found.start()) + 1, f"@param {name}: not a parameter"


def main():
    paths = [os.path.abspath(path) for path in sys.argv[1:]] or \
        [path for path in expand(CODE + TESTS + TEXTS) if os.path.isfile(path)]
    sources = {path: open(path, encoding="utf-8").read() for path in
               expand(("modules/**/*.[ch]", "tools/*.[ch]", "mod_resthooks.[ch]"))}
    files = {os.path.basename(path) for path in sources} | {"rh_openapi.c", "rh_schema_pgsql.c",
                                                            "rh_schema_sqlite.c", "rh_statements.h"}
    files |= {os.path.basename(path) for path in expand(("modules/**/*.sql",))}
    names = set().union(*(names_in(text) for text in sources.values()))
    for path in expand(("modules/**/*.sql",)):
        for name in re.findall(r"^-- name: (\w+)", open(path, encoding="utf-8").read(), re.M):
            names |= {f"rh_{name}_args_t", f"rh_{name}_row_t"}
    found = 0
    for path in paths:
        if os.path.relpath(path, ROOT) in EXEMPT:
            continue
        text = open(path, encoding="utf-8").read()
        findings = list(words_of(path, text))
        if path.endswith((".c", ".h")):
            findings += list(references_of(text, files, names)) + list(params_of(text))
        for number, finding in sorted(findings):
            print(f"{os.path.relpath(path, ROOT)}:{number}: {finding}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
