#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Where data=after looks, whatever the response, and whose request tenant= and when= evaluate."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw
from programs import write

FOLDER = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
CGI = "cgid" if MPM != "prefork" else "cgi"
RULES = r"""
    RestHooksEvent thing.after POST,PUT "^/employers/(?<tenant>[^/]+)/things(/(?<key>[^/]+))?$" \
        data=after status=2xx,303
    RestHooksEvent thing.answer POST "^/employers/(?<tenant>[^/]+)/answers$"
    RestHooksEvent deaf.program POST "^/cgi/(?<key>[^/]+)$" tenant=acme
    RestHooksEvent login.tenant POST "^/login/(?<key>[^/]+)$" "tenant=%{REMOTE_USER}"
    RestHooksEvent login.default POST "^/login/(?<key>[^/]+)$"
    RestHooksEvent login.when POST "^/login/(?<key>[^/]+)$" tenant=acme \
        "when=%{REMOTE_USER} == 'acme' && %{REQUEST_METHOD} == 'POST' && %{REQUEST_URI} == '/login/7'"
"""
backend = RawBackend()
httpd = Httpd(config=f"LoadModule {CGI}_module {FOLDER}/mod_{CGI}.so\n"
              f"LoadModule actions_module {FOLDER}/mod_actions.so\n"
              + ("ScriptSock cgisock\n" if CGI == "cgid" else ""),
              backend=backend, rules=RULES, start=False, expect=["AH02651", "AH01215"])
write(httpd.path("cgi", "deaf"), "#!/bin/sh\n"
      r"""printf 'Content-Type: application/json\r\n\r\n{"heard": false}'""" + "\n")
write(httpd.path("cgi", "login"), "#!/bin/sh\ncat >/dev/null\n"
      r"""printf 'Content-Type: application/json\r\n\r\n{"in": true}'""" + "\n")
write(httpd.path("users"), "acme:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n", 0o644)  # test
httpd.vhosts[0].extra = f"""
    RestHooksMaxData 5000
    ScriptAlias /cgi {httpd.path("cgi")}
    Action after-login /cgi/login virtual
    <Directory {httpd.path("cgi")}>
        Require all granted
    </Directory>
    <Location /login>
        SetHandler after-login
        RestHooksTenant "%{{REMOTE_USER}}"
        AuthType Basic
        AuthName test
        AuthUserFile {httpd.path("users")}
        Require valid-user
    </Location>
"""
httpd.write_config()
httpd.start()
events = Events(httpd)
THINGS = "/employers/acme/things"


def answering(status=200, body=b"", fields=(), then=()):
    def script(exchange):
        exchange.answer(status, body, fields)
        exchange.send(*then)
        return True
    return script


def seen():
    return [(e.type, e.data) for e in events.new()]


# The location of the resource
backend.on(f"GET {THINGS}", answering(200, b'["of other people"]'))
backend.on(f"GET {THINGS}/5", answering(200, b'{"id":5}'))
for name, method, place, status, fields, data in (
        ("201 with a Location", "POST", "", 201, [("Location", THINGS + "/5")], b'{"id":5}'),
        ("303 with a Location", "POST", "", 303, [("Location", THINGS + "/5")], b'{"id":5}'),
        ("200 with a Content-Location", "POST", "", 200, [("Content-Location", "things/5")], b'{"id":5}'),
        ("204 with a Content-Location", "POST", "", 204, [("Content-Location", THINGS + "/5")],
         b'{"id":5}'),
        ("201 with both", "POST", "", 201, [("Content-Location", THINGS), ("Location", THINGS + "/5")],
         b'{"id":5}'),
        ("201 without a place", "POST", "", 201, [], b'{"key":null}'),
        ("303 elsewhere", "POST", "", 303, [("Location", "https://example.com/5")], b'{"key":null}'),
        ("200 with a Content-Location on another host", "POST", "", 200,
         [("Content-Location", "https://example.com/5")], b'{"key":null}'),
        ("a PUT whose response names another resource", "PUT", "/5", 201, [], b'{"id":5}'),
        ("PUT", "PUT", "/5", 200, [], b'{"id":5}')):
    backend.on(f"{method} {THINGS}{place}", answering(status, b"" if status == 204 else b"{}", fields))
    is_(raw(httpd.port, method, THINGS + place, b"{}").status, status, f"{name}: the client's status")
    is_(seen(), [("thing.after", data)], f"{name}: the event has that resource or none")

# The form of the response does not matter to `after`.
LARGE = b"[" + b"1," * 4000 + b"1]"
backend.on(f"POST {THINGS}", answering(201, LARGE, [("Location", THINGS + "/5")]))
is_(raw(httpd.port, "POST", THINGS, b"{}").body, LARGE, "a large answer reaches the client")
is_(seen(), [("thing.after", b'{"id":5}')], "the event has the resource's data")


def ndjson(exchange):
    exchange.send(b"HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nLocation: "
                  + THINGS.encode() + b"/5\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b'{"a":1}\n', b'{"a":2}\n'):
        exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece), 0.1)
    exchange.send(b"0\r\n\r\n")
    return True


backend.on(f"POST {THINGS}", ndjson)
answer = raw(httpd.port, "POST", THINGS, b"{}")
is_((answer.body, answer.framing, answer.whole), (b'{"a":1}\n{"a":2}\n', "chunked", True),
    "NDJSON reaches the client")
is_(seen(), [("thing.after", b'{"id":5}')], "the event has the resource's data")

# A byte order mark is not data.
backend.on("/employers/acme/answers", answering(200, b'\xef\xbb\xbf{"id":5}'))
is_(raw(httpd.port, "POST", "/employers/acme/answers", b"{}").body, b'\xef\xbb\xbf{"id":5}',
    "a byte order mark reaches the client")
is_(seen(), [("thing.answer", b'{"id":5}')], "it is not in the event")

# Programs that do not read their request
count, whole = 24, []


def call_deaf():
    answer = raw(httpd.port, "POST", "/cgi/deaf", b"x" * 200000, timeout=60)
    whole.append(answer.body == b'{"heard": false}')


threads = [threading.Thread(target=call_deaf) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
found = seen()
is_(len(found), count, "each call of a program that does not read its request makes an event")
is_([data for _, data in found if data != b'{"heard": false}'], [],
    "the event has the program's whole response")
diag(f"{sum(whole)} of {count} clients had a whole answer")

# After an internal redirect tenant= and when= still evaluate the client's request and login.
answer = raw(httpd.port, "POST", "/login/7", b"{}", [("Authorization", "Basic YWNtZTp0ZXN0")])
is_((answer.status, answer.body), (200, b'{"in": true}'),
    "an Action responds to a client that logged in")
is_(sorted(e.type for e in events.new()), ["login.default", "login.tenant", "login.when"],
    "tenant=, RestHooksTenant and when= know the client's login, method and path")

done_testing()
