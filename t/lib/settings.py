# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Reads the table of settings (modules/server/config/rh_settings.h) for tests of the documentation.
"""

import os
import re
from collections import namedtuple

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                      "modules", "server", "config")
ROW = re.compile(r"\b(?:ROW|RAW)\((\w+), (\w+|\"\w+\"), (\w+), (\w+), (\w+), (NULL|\"[^\"]*\"), "
                 r"(NULL|\"\w+\"), (NULL|\"\w+\"), \"")

Setting = namedtuple("Setting", "member kind context share default low high")


def read(*names):
    text = ""
    for name in names:
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            text += file.read()
    return text


def table():
    """Return the rows of settings, by directive. None stands for NULL."""
    macros = dict(re.findall(r'#define (RH_NAME_\w+) "(\w+)"', read("rh_config_private.h")))
    text = re.sub(r"\s*\\\n\s*", " ", read("rh_settings.h"))
    rows = {}
    for member, name, kind, context, share, *values in ROW.findall(text):
        values = [None if value == "NULL" else value.strip('"') for value in values]
        rows[macros.get(name, name.strip('"'))] = Setting(member, kind, context, share, *values)
    return rows


def members(struct):
    """Return the names of the members of a struct in rh_config.h."""
    text = re.search(r"typedef struct %s \{(.*?)\n\} %s;" % (struct, struct), read("rh_config.h"),
                     re.S)[1]
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return {word for line in text.split(";") for word in
            re.findall(r"\*?(\w+)(?=\s*(?:,|$))", line.strip())}
