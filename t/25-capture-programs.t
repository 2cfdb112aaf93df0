#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: php-fpm uwsgi uwsgi-plugin-python3
"""The internal GET is a request of its own for every handler: CGI programs, php-fpm, uWSGI and SCGI
see the same as when the client requests that URL itself."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, raw
from programs import CGI, PHP, Scgi, start_php_fpm, start_uwsgi, write

MODULES = ["cgid" if MPM != "prefork" else "cgi", "actions", "rewrite", "proxy_fcgi", "proxy_uwsgi",
           "proxy_scgi"]
FOLDER = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
missing = [name for name in MODULES if not os.path.exists(f"{FOLDER}/mod_{name}.so")]
if missing:
    skip_all(f"httpd has no {missing}")
KINDS = ("cgi", "action", "fpm-sethandler", "fpm-rewrite", "fpm-proxypass", "fpm-action", "uwsgi",
         "scgi")
RULES = r"""
    RestHooksEvent made.after POST "^/(?<kind>[^/]+)/(?<tenant>[^/]+)/(?<key>.*)$" data=after
    RestHooksEvent kept.before PUT "^/(?<kind>[^/]+)/(?<tenant>[^/]+)/(?<key>.*)$" data=before
"""

httpd = Httpd(
    config="\n".join(f"LoadModule {name}_module {FOLDER}/mod_{name}.so" for name in MODULES)
    + ("\nScriptSock cgisock\n" if MPM != "prefork" else ""), rules=RULES, start=False)
fpm, uwsgi, scgi = start_php_fpm(httpd.path("")), start_uwsgi(httpd.path("")), Scgi().port
program = write(httpd.path("bin", "program"), CGI)
httpd.expect("Script timed out before returning headers", "AH01075", "AH00860",
             "AH01220")
script = write(httpd.path("php", "index.php"), PHP, 0o644)
httpd.vhosts[0].extra = f"""
    SetEnvIf Authorization "(.+)" HTTP_AUTHORIZATION=$1
    RestHooksTimeout 4s
    RestHooksConnectTimeout 2s
    ScriptAlias /cgi {program}
    ScriptAlias /bin {httpd.path("bin")}
    Action resthooks-test /bin/program virtual
    <Location /action>
        SetHandler resthooks-test
    </Location>
    AliasMatch "^/fpm-sethandler/.*" {script}
    <LocationMatch "^/fpm-sethandler/">
        SetHandler "proxy:fcgi://127.0.0.1:{fpm}"
    </LocationMatch>
    RewriteEngine On
    RewriteRule "^/fpm-rewrite/" "{script}" [END,H=proxy:fcgi://127.0.0.1:{fpm}]
    ProxyPassMatch "^/fpm-proxypass/.*" "fcgi://127.0.0.1:{fpm}{script}"
    Alias /front {script}
    <Location /front>
        SetHandler "proxy:fcgi://127.0.0.1:{fpm}"
    </Location>
    Action resthooks-php /front virtual
    <Location /fpm-action>
        SetHandler resthooks-php
    </Location>
    ProxyPass /uwsgi uwsgi://127.0.0.1:{uwsgi}/
    ProxyPass /scgi scgi://127.0.0.1:{scgi}/
    <Directory {httpd.path("")}>
        Require all granted
    </Directory>
"""
httpd.write_config()
httpd.start()
events = Events(httpd)

OWN = ("REMOTE_PORT", "UNIQUE_ID", "REQUEST_TIME", "REQUEST_TIME_FLOAT")
CREDENTIALS = [("Authorization", "Basic YTpi"), ("Cookie", "session=1"), ("X-Tenant", "acme"),
               ("Accept", "application/json")]
OTHERS = [("Content-Type", "application/json"), ("If-Match", '"1"'), ("Range", "bytes=0-3"),
          ("X-HTTP-Method-Override", "DELETE"), ("Idempotency-Key", "k1"), ("Prefer", "return=minimal")]
BODY = b'{"sent": true}'


def own_get(path):
    """Return what the program sees when the client makes the request itself."""
    answer = raw(httpd.port, "GET", path, fields=CREDENTIALS + [("Cache-Control", "no-cache")])
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body


def compare(found, shown, name):
    environ, wanted = found["environ"], shown["environ"]
    for field in OWN:
        environ.pop(field, None)
        wanted.pop(field, None)
    wanted.pop("HTTP_CONNECTION", None)
    if "action" in name:  # mod_rewrite does not set these in a redirected sub-request; they have the prefix REDIRECT_
        wanted.pop("SCRIPT_URL", None)
        wanted.pop("SCRIPT_URI", None)
    different = {field: (environ.get(field), wanted.get(field))
                 for field in {*environ, *wanted} if environ.get(field) != wanted.get(field)}
    is_(different, {}, f"{name}: sees the environment of the client's own GET")
    is_(found["body"], "", f"{name}: and no body")


for kind in KINDS:
    for method, path, place in (
            ("POST", f"/{kind}/acme/things", f"/{kind}/acme/things/7?part=all"),
            ("PUT", f"/{kind}/acme/things/7?x=1", f"/{kind}/acme/things/7?x=1")):
        answer = raw(httpd.port, method, path, BODY, CREDENTIALS + OTHERS, timeout=60)
        is_((answer.status, answer.body.replace(b" ", b"").strip()), (201, b'{"id":7}'),
            f"{kind}: the client of {method} gets the program's answer")
        found = events.new()
        if not is_([e.type for e in found], ["made.after" if method == "POST" else "kept.before"],
                   f"{kind}: {method} is an event"):
            continue
        if ok(isinstance(found[0].json, dict) and "environ" in found[0].json,
              f"{kind}: {method}: with what the internal GET shows ({found[0].data[:200]})"):
            is_(found[0].json["environ"]["REQUEST_URI"], place, f"{kind}: {method}: of its own place")
            compare(found[0].json, own_get(place), f"{kind}: {method}")

for kind in KINDS:
    answer = raw(httpd.port, "POST", f"/{kind}/acme/hang", BODY, CREDENTIALS, timeout=60)
    is_((answer.status, answer.body.replace(b" ", b"").strip()), (201, b'{"id":7}'),
        f"{kind}: an internal GET that hangs does not take the client's response away")
    is_([(e.type, e.data) for e in events.new()], [("made.after", b'{"key":"hang"}')],
        f"{kind}: and the event has its key")


done_testing()
