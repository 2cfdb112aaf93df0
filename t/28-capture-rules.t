#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""What rules can do: parts of bodies, one event per item, values by queries and expressions,
earlier states, URLs of internal GETs, and bodies that are not JSON."""

import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw

RULES = r"""
    RestHooksEvent part.made POST "^/employers/(?<tenant>[^/]+)/parts$" data=response:$.data
    RestHooksEvent bulk.made POST "^/employers/(?<tenant>[^/]+)/bulk$" data=request:$.items "each=$[*]" \
        key=$.sku "when=item('$.ok') != 'false'"
    RestHooksEvent bulk.tenant POST "^/employers/(?<where>[^/]+)/tenants$" data=request each=$.* \
        tenant=$.owner "key=%{env:MATCH_WHERE}-%{tolower:%{req:X-Key}}"
    RestHooksEvent order.paid PUT,PATCH "^/employers/(?<tenant>[^/]+)/orders/(?<key>[^/]+)$" data=after \
        with=before "when=after('$.status') == 'paid' && -T changed('$.status')"
    RestHooksEvent order.changed PUT,PATCH "^/employers/(?<tenant>[^/]+)/orders/(?<key>[^/]+)$" \
        data=after with=before unless=unchanged
    RestHooksEvent order.cancelled POST "^/employers/(?<tenant>[^/]+)/orders/(?<key>[^/]+)/cancel$" \
        data=after with=before "url=/employers/%{env:MATCH_TENANT}/orders/%{env:MATCH_KEY}?full=1"
    RestHooksEvent list.changed PUT "^/employers/(?<tenant>[^/]+)/list$" data=after:$.items each=$[*] \
        with=before unless=unchanged
    RestHooksEvent graph.changed POST "^/employers/(?<tenant>[^/]+)/graphql$" data=response:$.data.make \
        "when=request('$.query') =~ /mutation/ && -z response('$.errors')"
    RestHooksEvent form.sent POST "^/employers/(?<tenant>[^/]+)/forms$" data=request key=$.id
    RestHooksEvent once.made POST "^/employers/(?<tenant>[^/]+)/once$" "id=%{req:Idempotency-Key}"
    RestHooksEvent once.again POST "^/employers/(?<tenant>[^/]+)/once$" "id=%{req:Idempotency-Key}"
"""
backend = RawBackend()
httpd = Httpd(backend=backend, rules=RULES, extra="RestHooksMaxData 60000")
events = Events(httpd, ("acme", "other"))
BASE = "/employers/acme"


def answering(status=200, body=b"{}", fields=()):
    return lambda exchange: exchange.answer(status, body, fields) or True


def send(method, path, body=b"{}", fields=(), answer=b"{}", status=200):
    backend.on(f"{method} {path}", answering(status, answer))
    got = raw(httpd.port, method, path, body, fields)
    is_((got.status, got.body), (status, answer), f"{method} {path}: the client gets the answer")


def seen(tenant="acme"):
    return [(e.type, e.key, e.data) for e in events.new(tenant)]


def shown(tenant="acme"):
    """Return events as GET /events shows them, newest first."""
    return httpd.api(tenant).get("/events?limit=500").json


# A part of the body, byte for byte
send("POST", BASE + "/parts", answer=b'{"data": {"id" : 7, "b":1.0 } ,"x":1}')
is_(seen(), [("part.made", "7", b'{"id" : 7, "b":1.0 }')],
    "data=response:QUERY selects that part, byte for byte")
send("POST", BASE + "/parts", answer=b'{"error":1}')
is_(seen(), [("part.made", None, b'{"key":null}')],
    "if the part does not exist, the event has only its key")
send("POST", BASE + "/parts", answer=b'[' * 70 + b']' * 70)
is_(seen(), [("part.made", None, b'{"key":null}')], "likewise for JSON that is nested too deeply")
send("POST", BASE + "/parts", answer=b'{"data":"' + b"x" * 60000 + b'"}')
is_(seen(), [("part.made", None, b'{"key":null,"truncated":true}')],
    "likewise for a body that is too large")
is_([row.get("reason") for row in events.rows()[:4]], ["truncated", "not_json", "no_item", None],
    "the reasons are logged")

# One event per item
items = [b'{"sku":"a","n": 1}', b'{"sku":"b","ok":false}', b'{"sku":"c\\u0301","n": 1e0}', b'4']
send("POST", BASE + "/bulk", b'{"items":[' + b" , ".join(items) + b"]}")
is_(seen(), [("bulk.made", "a", items[0]), ("bulk.made", "c\u0301", items[2]), ("bulk.made", None, b"4")],
    "each= makes an event for each item that when= accepts, in document order, with its key")
send("POST", BASE + "/bulk", b'{"items":[]}')
is_(seen(), [], "an empty list makes no event")
many = json.dumps({"items": [{"sku": str(i)} for i in range(1003)]}).encode()
send("POST", BASE + "/bulk", many)
keys = [int(row["key"]) for row in events.rows(query="&event=bulk.made") if (row["key"] or "").isdigit()]
is_(sorted(keys), list(range(1000)), "of more than 1,000 items the first 1,000 make events")
is_(events.rows(query="&event=bulk.made")[0]["reason"], "too_many_items", "those events say so")
events.skip()
send("POST", BASE + "/tenants", b'{"x":{"owner":"other"},"y":{"owner":"acme"},"z":{}}', [("X-Key", "UP")])
is_((seen(), seen("other")), ([("bulk.tenant", "acme-up", b'{"owner":"acme"}')],
                              [("bulk.tenant", "acme-up", b'{"owner":"other"}')]),
    "tenant= by query gives each item to its tenant, and key= may be an expression")

# The earlier state
state = {"status": "new", "total": 5}


def order(exchange):
    if exchange.method != "GET":
        state.update(json.loads(exchange.body))
    exchange.answer(200, json.dumps(state).encode())
    return True


backend.on(BASE + "/orders/7", order)
for body, expected in (
        (b'{"total":6}', [("order.changed", {"total": 5})]),
        (b'{"status":"paid"}', [("order.changed", {"status": "new"}), ("order.paid", {"status": "new"})]),
        (b'{"status":"paid"}', []),
        (b'{"note":{"a":1}}', [("order.changed", {"note": None})])):
    raw(httpd.port, "PATCH", BASE + "/orders/7", body)
    found = events.new()
    rows = {row["id"]: row for row in shown()}
    is_(sorted((e.type, rows[e.id].get("previous")) for e in found), expected,
        f"{body}: changed() and unless=unchanged see what changed, previous has the earlier values")
    is_([e.json for e in found], [state] * len(expected), "the data is the present state")

# An action on a resource
backend.on(f"GET {BASE}/orders/a%20b", lambda e: e.answer(200, b'{"full":"%s"}' % e.target.encode()) or True)
send("POST", BASE + "/orders/a%20b/cancel", status=202)
is_(seen(), [("order.cancelled", "a b", b'{"full":"/employers/acme/orders/a%20b?full=1"}')],
    "url= sets the URL of internal GETs, with groups escaped")

# Items that changed
lists = [{"items": [{"id": 1, "v": 1}, {"id": 2, "v": 1}]}]


def items_of(exchange):
    if exchange.method == "PUT":
        lists[0] = json.loads(exchange.body)
    exchange.answer(200, json.dumps(lists[0]).encode())
    return True


backend.on(BASE + "/list", items_of)
raw(httpd.port, "PUT", BASE + "/list", b'{"items":[{"v":1.0,"id":2},{"id":1,"v":2},{"id":3}]}')
found = events.new()
rows = {row["id"]: row for row in shown()}
is_([(e.key, e.json, rows[e.id].get("previous")) for e in found],
    [("1", {"id": 1, "v": 2}, {"v": 1}), ("3", {"id": 3}, None)],
    "with each= items are compared with those of the same key")

# Conditions on request and response
for query, answer, count in (("mutation { make }", b'{"data":{"make":{"id":3}}}', 1),
                             ("query { list }", b'{"data":{"make":{"id":3}}}', 0),
                             ("mutation { make }", b'{"data":null,"errors":[{}]}', 0)):
    send("POST", BASE + "/graphql", json.dumps({"query": query}).encode(), answer=answer)
    is_(seen(), [("graph.changed", "3", b'{"id":3}')] * count, f"{query} {answer}: {count} events")

# Bodies that are not JSON
for kind, body, key, data in (
        ("application/x-www-form-urlencoded", b"id=7&a=x+y&a=%C3%A9", "7", {"id": "7", "a": ["x y", "\u00e9"]}),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="id"\r\n\r\n8\r\n--b\r\n'
         b'Content-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n\x00\xff\r\n--b--\r\n', "8",
         {"id": "8", "f": "a.png"}),
        ("text/calendar", b"BEGIN:VCALENDAR\r\n", None,
         {"content_type": "text/calendar", "text": "BEGIN:VCALENDAR\r\n"}),
        ("application/xml", b"<a/>", None, {"content_type": "application/xml", "text": "<a/>"}),
        ("image/png", b"\x89PNG\0", None,
         {"content_type": "image/png", "base64": base64.b64encode(b"\x89PNG\0").decode()}),
        ("text/plain", b'{"id":"json"}', "json", {"id": "json"}),
        ("application/json", b'{"id":', None, {"key": None}),
        ("application/hal+json", b"<p>", None, {"key": None})):
    send("POST", BASE + "/forms", body, [("Content-Type", kind)])
    found = events.new()
    is_([(e.key, e.json) for e in found], [(key, data)], f"{kind}: {data}")

# Idempotency
for _ in range(2):
    send("POST", BASE + "/once", b"{}", [("Idempotency-Key", "k-1")], answer=b'{"id":1}')
is_(sorted(seen()), [("once.again", "1", b'{"id":1}'), ("once.made", "1", b'{"id":1}')],
    "id= makes one event per rule of a request that is sent twice")
for _ in range(2):
    send("POST", BASE + "/once", b"{}", answer=b'{"id":1}')
is_(len(seen()), 4, "without an id each request makes one")

# Requests that match a rule but make no event are counted.
send("PATCH", BASE + "/orders/8", status=404)
before = httpd.api("acme").get("/event-types/order.paid").json["not_captured"]
send("PATCH", BASE + "/orders/8", status=404)
after = httpd.api("acme").get("/event-types/order.paid").json["not_captured"]
is_(after, {**before, "status": before["status"] + 1},
    "not_captured counts requests with another status")
ok(before["when"] >= 2, f"not_captured counts requests that when= refuses ({before})")
is_(sorted(httpd.api("acme").get("/event-types/order.changed").json["not_captured"]), ["status", "unchanged"],
    "not_captured counts unchanged resources")
is_(httpd.api("acme").get("/event-types/bulk.made").json["not_captured"], {"no_item": 1, "when": 1},
    "not_captured counts lists without items")
metrics = httpd.request("GET", "/hooks/metrics", headers={"X-Tenant": "acme"}).body.decode()
like(metrics, r'resthooks_not_captured_total\{host="[^"]*",rule="4",type="order.paid",reason="status"\} %d'
     % after["status"], "it is a metric by rule, type and reason")
is_(events.new(), [], "none of these requests makes an event")
send("POST", BASE + "/tenants", b'{"z":{}}')
httpd.wait_log(r"RH0615: POST /employers/acme/tenants fits RestHooksEvent bulk.tenant \(rule 3\)")
httpd.expect("RH0615")

# Paths are compared as the regular expression's options say.
send("POST", BASE + "/PARTS", answer=b'{"data":1}')
is_(seen(), [], "a path in another case matches no rule")
httpd.server_config += "RegexDefaultOptions +ICASE\n"
httpd.write_config()
httpd.restart()
send("POST", BASE + "/PARTS", answer=b'{"data":2}')
is_(seen(), [("part.made", None, b"2")], "with RegexDefaultOptions +ICASE it does")

# Rules that httpd -t refuses
for option, reason in (
        ("data=response:$.a[", "data=$.a[: not a selector at byte 4"), ("each=x", "each=x"),
        ("key=$..a", "more than one"), ("id=$[", "id=$["), ("with=after", "with=after"),
        ("unless=same", "unless=same"), ("url=%{nosuch:a", "url="),
        ("url=%{tolower:%{item:$.a}}", ""),
        ("when=item('$[') == ''", "item"), ("when=item('$..a') == ''", "at most one"),
        ("when=item(%{REQUEST_URI}) == ''", "in quotes"), ("when=nosuch('$.a') == ''", "when="),
        ("each=$[*] each=$[*]", "twice"), ("observe=1", "none of")):
    words = option if option.startswith("each=$[*] ") else f'"{option}"'
    httpd.vhosts[0].rules = RULES + f'\nRestHooksEvent bad.rule POST "^/x$" {words}\n'
    httpd.write_config()
    accepted, output = httpd.check_config()
    ok(not accepted and "RestHooksEvent" in output and reason in output,
       f"httpd -t refuses {option} ({output[-200:].strip()})")
httpd.vhosts[0].rules = RULES
httpd.vhosts[0].extra += "\n<Location /x>\nRequire expr item('$.a') == ''\n</Location>\n"
httpd.write_config()
output = httpd.check_config()[1]
ok("only expressions of RestHooksEvent" in output, "other expressions do not have these functions")

done_testing()
