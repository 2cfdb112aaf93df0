#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""`httpd -t` refuses wrong settings and names the directive; settings merge as documented."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

RULE = "RestHooksEvent a.b POST ^/a$"
httpd = Httpd(start=False)


def said(line="", server="", **vhost):
    """Run httpd -t with a directive in the virtual host; return whether it was accepted, and the
    output."""
    given = Vhost(**{"rules": "", "extra": line, **vhost})
    httpd.vhosts, httpd.server_config = [given], server
    httpd.write_config()
    return httpd.check_config()


def refused(line, name=None, words=None, **more):
    """Expect the directive to be refused, with a message that names it."""
    good, text = said(line, **more)
    name = name or line.split()[0]
    shown = (line or more.get("server", ""))[:70].replace("\n", " ")
    ok(not good, f"refused: {shown}")
    ok(name in text and (words is None or re.search(words, text)),
       f"naming {name}") or diag(text)


def taken(line, **more):
    good, text = said(line, **more)
    shown = (line or more.get("server", ""))[:70].replace("\n", " ")
    ok(good, f"taken: {shown}") or diag(text)


taken("")
for line in (
        "RestHooks maybe", "RestHooksEvent", "RestHooksEvent a.b", "RestHooksEvent a.b POST",
        'RestHooksEvent Bad POST "^/a$"', 'RestHooksEvent nodot POST "^/a$"',
        "RestHooksEvent " + "a." + "b" * 128 + ' POST "^/a$"', 'RestHooksEvent a.b "P ST" "^/a$"',
        'RestHooksEvent a.b POST "^/(a$"', 'RestHooksEvent a.b POST "^/(?<tenant>a"',
        'RestHooksEvent a.b POST "^/a$" status=99', 'RestHooksEvent a.b POST "^/a$" status=6xx',
        'RestHooksEvent a.b POST "^/a$" status=', 'RestHooksEvent a.b POST "^/a$" data=body',
        'RestHooksEvent a.b POST "^/a$" colour=red', 'RestHooksEvent a.b POST "^/a$" "when=%{"',
        'RestHooksEvent a.b POST "^/a$" "when=1 -eq"', 'RestHooksEvent a.b POST "^/a$" "tenant=%{"',
        'RestHooksEventType bad "x"', "RestHooksEventType a.b",
        'RestHooksEventType a.b "x" no-such-file.json', 'RestHooksTenant "%{"', "RestHooksTenant",
        'RestHooksPublisher "1 -eq"', 'RestHooksAdmin "%{REMOTE_USER} =="',
        "RestHooksRetry", "RestHooksRetry 5x", "RestHooksRetry 5s never", "RestHooksRetry -5s",
        "RestHooksTimeout 0", "RestHooksTimeout x", "RestHooksTimeout never",
        "RestHooksTimeout 1s 2s", "RestHooksConnectTimeout 5 s", "RestHooksGone 99",
        "RestHooksGone 200", "RestHooksGone x", "RestHooksDisableAfter soon",
        "RestHooksMaxData 0", "RestHooksMaxData -1", "RestHooksMaxData 1x",
        "RestHooksMaxData 99999999999", "RestHooksEndpointConcurrency 0",
        "RestHooksEndpointConcurrency x", "RestHooksTargets https", "RestHooksTargetAllow",
        "RestHooksTargetAllow 10.0.0.1/8", "RestHooksTargetAllow 10.0.0.0/33",
        "RestHooksTargetAllow 300.0.0.0/8", "RestHooksTargetDeny fe80::/200",
        'RestHooksTargetDeny "a b"', "RestHooksEgressProxy proxy:3128",
        "RestHooksEgressProxy https://proxy:3128", "RestHooksEgressProxy http://u:p@proxy:3128",
        "RestHooksTLSCAFile no-such.pem", "RestHooksTLSCertificate no-such.pem",
        "RestHooksTLSKey no-such.key", "RestHooksRetention 0", "RestHooksRetention never",
        "RestHooksRetention 5 days", "RestHooksConcurrency 5", "RestHooksThreads 1",
        "RestHooksSpool /tmp/x"):
    refused(line)
for line in ("RestHooksTimeout 601s", "RestHooksConnectTimeout 601s", "RestHooksDisableAfter 0",
             "RestHooksDisableAfter 3651d", "RestHooksRetention 36501d", "RestHooksRetry 31d",
             "RestHooksRetry " + " ".join(["1s"] * 61), "RestHooksMaxData 33554433",
             "RestHooksGone 410 x", "RestHooksGone none 410", "RestHooksTargetAllow 10.0.0.0/8 a/b",
             'RestHooksEvent a.b POST "^/a$" status=200 status=201',
             "RestHooksTargetDeny " + " ".join(["10.0.0.1"] * 70 + ["x/y"]),
             'RestHooksEventType a.b "x" logs', 'RestHooksEventType a.* "x"'):
    refused(line)
for line in ("RestHooksConcurrency 0", "RestHooksConcurrency x", "RestHooksThreads 0",
             "RestHooksThreads 1000", "RestHooksSchema maybe", 'RestHooksSpool ""',
             "RestHooksSpool httpd.conf"):
    refused("", line.split()[0], server=line)
with open(httpd.path("bad.pem"), "w", encoding="utf-8") as file:
    file.write("no certificate\n")
refused("RestHooksTLSCAFile bad.pem")
refused("RestHooksTLSCertificate bad.pem")
with open(httpd.path("bad.json"), "w", encoding="utf-8") as file:
    file.write("{")
refused('RestHooksEventType a.b "x" bad.json')
with open(httpd.path("large.json"), "w", encoding="utf-8") as file:
    file.write('"' + "x" * 2000 + '"')
refused('RestHooksMaxData 1000\nRestHooksEventType a.b "x" large.json', "RestHooksEventType",
        "RestHooksMaxData")
refused('RestHooksEventType a.b "x"\nRestHooksEventType a.b "y"', "RestHooksEventType", "twice")
for name, text in (("login", "app:secret\n"), ("nologin", "app\n"), ("twolines", "a:b\nc:d\n"),
                   ("schema.json", ' {"type":"object"}\n'), ("string.json", '"x"')):
    with open(httpd.path(name), "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(httpd.path(name), 0o600)
PROXY = "RestHooksEgressProxy http://proxy:3128"
for line in ("RestHooksEgressProxy", PROXY + " except=10.0.0.1/8", PROXY + " except=",
             PROXY + " except=a,,b", PROXY + " resolve=here", PROXY + " colour=red",
             PROXY + " auth=no-such-file", PROXY + " auth=nologin", PROXY + " auth=twolines",
             PROXY + " auth=login auth=login", 'RestHooksEventType a.b "x" schema=no-such.json',
             'RestHooksEventType a.b "x" schema=bad.json',
             'RestHooksEventType a.b "x" schema=string.json',
             'RestHooksEventType a.b "x" schema=schema.json schema=schema.json',
             'RestHooksEventType a.b "x" string.json string.json', "RestHooksMaxHops 101",
             "RestHooksMaxSubscriptions 0", "RestHooksTenantRequests 0",
             "RestHooksHostConcurrency 0"):
    refused(line)
for line in (PROXY + " except=10.0.0.0/8,.internal.example auth=login resolve=proxy except=::1",
             'RestHooksEventType a.b "x" schema=schema.json',
             'RestHooksEventType a.b "x" string.json schema=schema.json', "RestHooksMaxHops 0"):
    taken(line)
authority = Authority()
certificate, key = authority.issue("DNS:localhost", client=True)
other = authority.issue("DNS:localhost", client=True)[1]
refused(f"RestHooksTLSKey {key}", words="needs RestHooksTLSCertificate")
refused(f"RestHooksTLSCertificate {certificate}\nRestHooksTLSKey {other}", "RestHooksTLSKey")
refused("RestHooksTLSCAFile logs", words="not a regular file")
for section, words in (("<Directory /tmp>", "<Location>"), ("<Location /a*>", "LocationMatch")):
    refused(f"{section}\nSetHandler resthooks\n</{section[1:].split()[0]}>", "SetHandler", words)
refused("<Location /x>\nRestHooksEvent a.b POST ^/a$\n</Location>", "RestHooksEvent")
refused("<Directory />\nRestHooks On\n</Directory>", "RestHooks")
refused("RestHooksConnectTimeout 60s", "RestHooksConnectTimeout")
refused("RestHooksTimeout 2s\nRestHooksConnectTimeout 3s", "RestHooksConnectTimeout",
        "longer than RestHooksTimeout")
refused("DBDriver sqlite3", "DBDParams", database=False)
refused("DBDriver sqlite3\nDBDParams hooks.db", "DBDParams", "absolute", database=False)
refused("", "DBDriver", database=False)
good, text = said("DBDriver mysql\nDBDParams x", database=False)
ok(not good and "driver" in text, "refused: a driver that is neither pgsql nor sqlite3") or diag(text)

# Without mod_dbd
said("", database=False)
with open(httpd.path("httpd.conf"), encoding="utf-8") as file:
    text = "\n".join(l for l in file.read().splitlines() if "dbd_module" not in l)
with open(httpd.path("httpd.conf"), "w", encoding="utf-8") as file:
    file.write(text + "\n")
good, text = httpd.check_config()
ok(not good and "mod_dbd" in text, "refused: RestHooks On without mod_dbd") or diag(text)

for line in (RULE, RULE + " status=2xx,304 data=after", 'RestHooksEvent a.b * "^/a$"',
             'RestHooksEvent a.b GET,PURGE "^/a$" status=200 "when=%{HTTP:X} == \'y\'" '
             '"tenant=%{req:X-Tenant}"', "RestHooksRetry 100ms 5 1m 2h 3d 1w",
             "RestHooksDisableAfter never", "RestHooksGone 410", "RestHooksTimeout 500ms",
             "RestHooksTargetAllow 10.0.0.0/8 fd00::/8 hooks.example.com .example.org ::1",
             "RestHooksEgressProxy http://proxy.example.com:3128",
             f"RestHooksTLSCertificate {certificate}\nRestHooksTLSKey {key}",
             f"RestHooksTLSCAFile {authority.file}", "RestHooksGone none",
             "RestHooksTimeout 2s\nRestHooksConnectTimeout 2s", "RestHooksTimeout 10m",
             "RestHooksMaxData 33554432", "RestHooksMaxData 1", "RestHooksRetention 1s",
             "<LocationMatch ^/[^/]+/hooks>\nSetHandler resthooks\n</LocationMatch>",
             '<Location /y>\nRestHooksTenant "x"\nRestHooksAdmin "true"\n</Location>'):
    taken(line)
taken("", server="RestHooksConcurrency 64\nRestHooksThreads 1\nRestHooksSchema check")

# Merging: the server's settings apply to a virtual host unless it sets its own, and likewise
# to directories.
receiver, backend = Receiver(), Backend()
inherits = Vhost(name="inherits", rules="", backend=backend, retry=None)
overrides = Vhost(name="overrides", backend=backend, retry=None, extra="RestHooksMaxData 100000\n",
                  rules='RestHooksEvent own.made POST "^/employers/(?<tenant>[^/]+)/employees$"')
server = Httpd(vhosts=[inherits, overrides], config=r"""
    RestHooksEvent employee.made POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksMaxData 1000
    RestHooksRetry 1s
    RestHooksTargets http
    RestHooksTargetAllow 127.0.0.0/8
""")
for vhost, types, truncated in ((inherits, ["employee.made"], True),
                                (overrides, ["employee.made", "own.made"], False)):
    api = vhost.api()
    is_([t["type"] for t in api.get("/event-types").json], types, f"{vhost.name}: rules")
    receiver.clear()
    api.subscribe(receiver.url + "/" + vhost.name, ["*"])
    request("POST", vhost.url + "/employers/acme/employees", {"name": "x" * 3000})
    got = receiver.wait_for(len(types), "/" + vhost.name)
    is_({"truncated" in json.loads(r.body)[0] for r in got}, {truncated}, f"{vhost.name}: limits")
done_testing()
