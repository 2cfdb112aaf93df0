#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Settings that are valid but probably mistaken cause a warning at start; others do not."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

server = Httpd(start=False)
for name, mode in (("open", 0o644), ("secret", 0o600)):
    with open(server.path(name), "w", encoding="utf-8") as file:
        file.write("app:secret\n")
    os.chmod(server.path(name), mode)
PROXY = "RestHooksEgressProxy http://127.0.0.1:3128 auth="
HANDLER = "SetHandler resthooks\n"
LOGIN = HANDLER + "AuthType Basic\nAuthName hooks\nAuthUserFile secret\nRequire valid-user"


def rule(methods="POST", pattern="^/a/(?<tenant>[^/]+)$", more=""):
    return f'RestHooksEvent a.b {methods} "{pattern}" {more}'


def location(path, text):
    return f'<Location "{path}">\n{text}\n</Location>\n'


def directory(text):
    return f'<Directory "{server.path("htdocs")}">\n{text}\n</Directory>'


# Settings that cause a warning: the configuration, the tag, and the text of the line without the
# host.
BAD = [
    (dict(extra="RestHooksTenant REMOTE_USER"), "RH0414", "RestHooksTenant REMOTE_USER"),
    (dict(location=LOGIN + "\nRestHooksTenant acme"), "RH0414", "<Location /hooks>"),
    (dict(rules=rule("PSOT")), "RH0415", "a.b: .*PSOT"),
    (dict(rules=rule("PUT,FOO")), "RH0415", "a.b: .*FOO"),
    (dict(rules=rule("*")), "RH0415", "not a wildcard"),
    (dict(rules=rule(more="tenant=REMOTE_USER")), "RH0414", "a.b: tenant=REMOTE_USER"),
    (dict(rules=rule(more="tenant=req:X-Tenant")), "RH0414", "a.b: tenant=req:X-Tenant"),
    (dict(rules=rule(more="id=Idempotency-Key")), "RH0421", "a.b: id=Idempotency-Key"),
    (dict(rules=rule("get")), None, None),
    (dict(rules=rule(pattern="^a/b$")), "RH0416", r"\^a/b\$"),
    (dict(rules=rule(pattern=r"^\.a")), "RH0416", "no path"),
    (dict(rules=rule(pattern="^https://example.com/a$")), "RH0416", "no path"),
    (dict(rules=rule(pattern="^employees(/|$)")), "RH0416", "no path"),
    (dict(rules=rule(pattern=r"^\d+$")), "RH0416", "no path"),
    (dict(rules=rule(pattern="^$")), "RH0416", "no path"),
    (dict(extra="RestHooks Off"), "RH0417", "404.*<Location /hooks>"),
    (dict(location=HANDLER, protected=False), "RH0418", "<Location /hooks>"),
    (dict(location=HANDLER + "Require all granted"), "RH0418", "<Location /hooks>"),
    (dict(location=HANDLER, protected=False,
          extra=location("/hook", "Require expr true") + location("/hooks/x", "Require expr true")),
     "RH0418", "<Location /hooks>"),
    (dict(location=HANDLER, protected=False, extra=directory("Require all granted")), "RH0418",
     "<Location /hooks>"),
    (dict(extra="SetHandler resthooks"), "RH0418", None),
    (dict(extra='<LocationMatch "^/[a-z]+/hooks">\nSetHandler resthooks\n</LocationMatch>'),
     "RH0418", r"<Location \^/\[a-z\]\+/hooks>"),
    (dict(extra="RestHooksRetention 2d", retry=None), "RH0419", "RestHooksRetention: 172800 s"),
    (dict(extra="RestHooksRetention 3s", retry="1s 1s 1s 1s"), "RH0419", "the 4 s"),
    (dict(location="SetHandler resthook"), "RH0420", "SetHandler resthook:"),
    (dict(location="SetHandler mod_resthooks"), "RH0420", "SetHandler mod_resthooks:"),
    (dict(location="SetHandler rest-hooks"), "RH0420", "SetHandler rest-hooks:"),
    (dict(location="SetHandler RestHoks"), "RH0420", "<Location /hooks>"),
    (dict(extra=PROXY + "open"), "RH0413", "every user"),
]
# Settings that cause no warning.
GOOD = [
    dict(rules=rule()), dict(location=LOGIN),
    dict(extra="RestHooksTenant \"x-%{REMOTE_USER}\""), dict(rules=rule(more="tenant=acme")),
    dict(rules=rule(more="tenant=$.tenant id=$.id key=17")),
    dict(rules=rule(more='"tenant=%{env:MATCH_TENANT}" "id=%{req:Idempotency-Key}"')),
    dict(rules=rule("PUT,PATCH,DELETE,GET,HEAD,OPTIONS,PROPFIND,REPORT,MKCALENDAR")),
    *(dict(rules=rule(pattern=pattern)) for pattern in (
        "^/a$", "a$", r"^\/a", "^a?/b", "^a*/b", "^(a|/b)", "^a|/b", "^[^a]b", "^./a", "(?i)^/A",
        r"^a{0,1}/b", "^[a|b]?/x", "^[]|]?/x", r"^\x2fa")),
    dict(location=HANDLER + "Require ip 127.0.0.1"),
    dict(location=HANDLER + "<RequireAny>\nRequire ip 10.0.0.1\nRequire local\n</RequireAny>"),
    dict(location=HANDLER, protected=False, extra=location("/", "Require expr true")),
    dict(location=HANDLER, protected=False, extra=directory("Require expr true")),
    dict(location=HANDLER + 'RestHooksTenant "%{env:SSL_CLIENT_S_DN_CN}"', protected=False),
    dict(extra='<LocationMatch "^/[a-z]+/hooks">\nSetHandler resthooks\nRequire local\n'
               '</LocationMatch>'),
    dict(location="SetHandler server-status"), dict(location="SetHandler default-handler"),
    dict(extra="RestHooksRetention 4s", retry="1s 1s 1s 1s"),
    dict(extra=PROXY + "secret"), dict(enabled=False),
    dict(extra="RestHooks Off", location=""),
]
shared = Sqlite(server.path("db"), "one") if DB == "sqlite3" else Pgsql()


class Unbound(Vhost):
    """A virtual host that is only configured: it listens on no port."""

    def config(self, httpd, number):
        return super().config(httpd, number).split("\n", 1)[1]


def host(number, arguments):
    kind = Unbound if number else Vhost
    return kind(name=str(number), database=shared, **{"rules": "", **arguments})


hosts = [host(i, case[0]) for i, case in enumerate(BAD)]
quiet = [host(i, arguments) for i, arguments in enumerate(GOOD, len(BAD))]
server.vhosts = hosts + quiet
server.port, server.url = hosts[0].port, hosts[0].url
server.expect(*sorted({tag for _, tag, _ in BAD if tag}))
# A rule that virtual hosts inherit causes one warning, and none for a virtual host where
# RestHooks is Off.
server.server_config = f"""
RegisterHttpMethod MKCALENDAR
RestHooksEvent inherited.rule PSOT "^/inherited$"
{location("/inherited", "SetHandler resthooks")}
"""
server.write_config()
server.start()
lines = [line for line in server.log().splitlines() if "resthooks:warn" in line]


def of_host(vhost):
    return [line for line in lines if re.search(rf"localhost:{vhost.port}\b", line)]


inherited = [line for line in lines if "inherited" in line]
is_(sorted(re.findall("RH04..", "".join(inherited))), ["RH0415", "RH0418"],
    "inherited rules cause one warning") or diag("\n".join(inherited))
by_rule = [line for line in lines if "inherited" not in line]
for vhost, (arguments, tag, words) in zip(hosts, BAD):
    shown = " ".join(str(value) for value in arguments.values()).replace("\n", " ")[:90]
    if "rules" in arguments and tag:
        ok(any(re.search(rf"{tag}: .*{words}", line) for line in by_rule), f"{tag}: {shown}")
    elif tag:
        found = [line for line in of_host(vhost) if "inherited" not in line]
        ok(any(tag in line and re.search(words or "", line) for line in found),
           f"{tag}: {shown}") or diag("\n".join(found))
        is_({t for line in found for t in re.findall("RH04..", line)}, {tag},
            "there are no other warnings")
for vhost, arguments in zip(quiet, GOOD):
    shown = " ".join(str(value) for value in arguments.values()).replace("\n", " ")[:90]
    is_([line for line in of_host(vhost) if "inherited" not in line], [], f"silent: {shown}")
told = sum("RestHooksEvent a.b" in line for line in by_rule)
is_(told, sum("rules" in arguments and tag is not None for arguments, tag, _ in BAD),
    "exactly these rules cause warnings")
done_testing()
