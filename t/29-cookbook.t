#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The rules of docs/cookbook.md, each against a backend that behaves like the API it is for."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *
from capture import Events, RawBackend, raw

FOLDER = os.environ.get("RH_MODULES_DIR", "/usr/lib/apache2/modules")
with open(os.path.join(SOURCE, "docs", "cookbook.md"), encoding="utf-8") as file:
    ROWS = [[cell.strip() for cell in line.strip().strip("|").split(" | ")]
            for line in file if line.startswith("| ")][1:]
is_((len(ROWS), [row for row in ROWS if len(row) != 3 or not all(row)]), (14, []),
    "the table has fourteen rows and no empty cell")
RULES = [rule for row in ROWS for rule in re.findall(r"`(RestHooksEvent [^`]*)`", row[1])]
is_(len(RULES), 15, "the table has fifteen rules")

backend = RawBackend()
PATHS = ("wrapped", "bulk", "orders", "graphql", "hal", "jsonapi", "rpc", "forms", "wp-json", "odata",
         "ledger", "documents")
httpd = Httpd(config=f"LoadModule dav_module {FOLDER}/mod_dav.so\n"
              f"LoadModule dav_fs_module {FOLDER}/mod_dav_fs.so\nDavLockDB htdocs/davlock\n",
              rules="\n".join(RULES), start=False,
              expect=["Unable to PUT new contents", "An error occurred while opening a resource"])
os.makedirs(httpd.path("htdocs", "dav"), exist_ok=True)
os.chmod(httpd.path("htdocs"), 0o777)
os.chmod(httpd.path("htdocs", "dav"), 0o777)
httpd.vhosts[0].extra = "\n".join(f"ProxyPass /{path} {backend.url}/{path}" for path in PATHS) + f"""
    AddType text/calendar .ics
    Alias /dav {httpd.path("htdocs", "dav")}
    <Directory {httpd.path("htdocs", "dav")}>
        Dav On
        Require all granted
    </Directory>
"""
httpd.write_config()
httpd.start()
events = Events(httpd, ("acme", "a1", "a2"))
used = set()


def call(method, path, body=b"", kind="application/json", fields=()):
    body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    return raw(httpd.port, method, path, body,
               [("X-Tenant", "acme"), ("Content-Type", kind), *fields])


def expect(name, *expected, tenant="acme"):
    """Return events as (type, key, data, previous)."""
    found = events.new(tenant)
    rows = {row["id"]: row for row in events.rows(tenant)} if found else {}
    is_([(e.type, e.key, e.json, rows[e.id].get("previous")) for e in found], list(expected), name)
    used.update(e.type for e in found)


def answering(status=200, body=None, fields=()):
    text = b"" if body is None else json.dumps(body).encode()
    return lambda exchange: exchange.answer(status, text, fields) or True


class Resource:
    """A resource that PATCH merges into and that GET shows wrapped in `wrap`."""

    def __init__(self, path, value, wrap=lambda value: value):
        self.value, self.wrap = value, wrap
        backend.on(path, self.serve)

    def serve(self, exchange):
        if exchange.method == "PATCH":
            self.value.update(json.loads(exchange.body))
        exchange.answer(200, json.dumps(self.wrap(self.value)).encode())
        return True


backend.on("/wrapped/contacts", answering(201, {"data": {"id": "c1", "name": "Ada"}, "meta": {}}))
call("POST", "/wrapped/contacts", {})
expect("data wrapper", ("contact.created", "c1", {"id": "c1", "name": "Ada"}, None))

backend.on("/bulk/items", answering(207, {"results": [
    {"status": 201, "item": {"sku": "x"}}, {"status": 409, "item": {"sku": "y"}},
    {"status": 201, "item": {"sku": "z"}}]}))
call("POST", "/bulk/items", [])
expect("bulk call", ("item.created", "x", {"sku": "x"}, None), ("item.created", "z", {"sku": "z"}, None))

order = Resource("/orders/7", {"status": "open", "note": ""})
call("PATCH", "/orders/7", {"note": "soon"})
expect("a change of something else than the status")
call("PATCH", "/orders/7", {"status": "paid"})
expect("became paid", ("order.paid", "7", {"status": "paid", "note": "soon"}, {"status": "open"}))
call("PATCH", "/orders/7", {"status": "paid", "note": "thanks"})
expect("the previous state was \"paid\"")


def graphql(exchange):
    query = json.loads(exchange.body)["query"]
    answer = {"data": {"createOrder": {"id": "g1"}}}
    if "bad" in query:
        answer = {"data": {"createOrder": None}, "errors": [{"message": "no"}]}
    elif "orders" in query:
        answer = {"data": {"orders": []}}
    exchange.answer(200, json.dumps(answer).encode())
    return True


backend.on("/graphql", graphql)
for query in ("{ orders { id } }", "mutation { createOrder(bad: 1) { id } }",
              "mutation { createOrder { id } }"):
    call("POST", "/graphql", {"query": query})
expect("GraphQL", ("order.placed", "g1", {"id": "g1"}, None))

bill = {"total": 3, "_links": {"self": {"href": "http://x/hal/invoices/3"}}}
backend.on("POST /hal/invoices", answering(201, None, [("Location", "/hal/invoices/3")]))
backend.on("GET /hal/invoices/3", answering(200, bill))
call("POST", "/hal/invoices", {"total": 3})
expect("HAL", ("invoice.created", "http://x/hal/invoices/3", bill, None))

article = Resource("/jsonapi/articles/1", {"title": "a", "views": 1}, lambda value: {
    "data": {"type": "articles", "id": "1", "attributes": value}, "jsonapi": {"version": "1.1"}})
KIND = "application/vnd.api+json"
call("PATCH", "/jsonapi/articles/1", {"title": "b"}, KIND)
expect("JSON:API", ("article.updated", "1", {"type": "articles", "id": "1",
                                             "attributes": {"title": "b", "views": 1}},
                    {"attributes": {"title": "a"}}))
call("PATCH", "/jsonapi/articles/1", {"views": 1.0}, KIND)
expect("JSON:API without a change")

CALENDAR = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
answer = call("PUT", "/dav/home/1.ics", CALENDAR, "text/calendar")
is_(answer.status, 409, "mod_dav refuses a collection that does not exist")
expect("the refusal makes no event")
answer = call("PUT", "/dav/1.ics", CALENDAR, "text/calendar")
is_(answer.status, 201, "mod_dav saves an appointment")
text = {"content_type": "text/calendar", "text": CALENDAR.decode()}
expect("CalDAV", ("appointment.saved", "1", text, None))
is_(call("DELETE", "/dav/1.ics").status, 204, "mod_dav removes it")
expect("CalDAV", ("appointment.removed", "1", text, None))

backend.on("/rpc", lambda e: e.answer(200, json.dumps(
    {"jsonrpc": "2.0", "id": 1, **({"error": {"code": 1}} if b"bad" in e.body else {"result": {"id": "b1"}})}
).encode()) or True)
for method, parameters in (("bill.list", []), ("bill.create", ["bad"]), ("bill.create", ["good"])):
    call("POST", "/rpc", {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
expect("JSON-RPC", ("bill.created", "b1", {"id": "b1"}, None))


def cancel(exchange):
    order.value["status"] = "cancelled"
    exchange.answer(202)
    return True


backend.on("/orders/7/cancel", cancel)
call("POST", "/orders/7/cancel")
expect("an action", ("order.cancelled", "7", {"status": "cancelled", "note": "thanks"}, {"status": "paid"}))

backend.on("/forms/contact", answering(303, None, [("Location", "/thanks")]))
call("POST", "/forms/contact", b"email=ada%40example.com&topic=a&topic=b", "application/x-www-form-urlencoded")
expect("a form", ("lead.sent", "ada@example.com", {"email": "ada@example.com", "topic": ["a", "b"]}, None))

backend.on("GET /wp-json/wp/v2/posts", answering(200, [{"id": 1, "status": "publish"}]))
backend.on("POST /wp-json/wp/v2/posts", answering(201, {"id": 12, "status": "publish"}))
call("POST", "/wp-json/wp/v2/posts", {"status": "publish"})
expect("WordPress: a new post", ("post.published", "12", {"id": 12, "status": "publish"}, None))
for before, count in (("draft", 1), ("publish", 0)):
    backend.on("GET /wp-json/wp/v2/posts/13", answering(200, {"id": 13, "status": before}))
    backend.on("POST /wp-json/wp/v2/posts/13", answering(200, {"id": 13, "status": "publish"}))
    call("POST", "/wp-json/wp/v2/posts/13", {"status": "publish"})
    expect(f"WordPress: before it was {before}",
           *[("post.published", "13", {"id": 13, "status": "publish"}, None)] * count)

backend.on("/odata/$batch", answering(200, {"responses": [
    {"id": "0", "status": 200, "body": {"ProductID": 1}}, {"id": "1", "status": 404, "body": {"error": {}}},
    {"id": "2", "status": 201, "body": {"ProductID": 2}}]}))
call("POST", "/odata/$batch", {"requests": []})
expect("OData batch", ("product.changed", "1", {"ProductID": 1}, None),
       ("product.changed", "2", {"ProductID": 2}, None))

backend.on("/ledger/transfers", answering(200, {"accounts": [
    {"account": "a1", "balance": 5}, {"account": "a2", "balance": 6}]}))
for _ in range(2):
    call("POST", "/ledger/transfers", {}, fields=[("Idempotency-Key", "t-1")])
for account, balance in (("a1", 5), ("a2", 6)):
    expect(f"one call for several accounts, sent twice: {account}",
           ("balance.changed", account, {"account": account, "balance": balance}, None), tenant=account)

backend.on("/documents", answering(201, {"id": "d9"}))
call("POST", "/documents", b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nCV\r\n--b\r\n'
     b'Content-Disposition: form-data; name="file"; filename="cv.pdf"\r\nContent-Type: application/pdf\r\n'
     b'\r\n%PDF\xff\r\n--b--\r\n', "multipart/form-data; boundary=b")
expect("an upload", ("document.uploaded", "d9", {"title": "CV", "file": "cv.pdf"}, None))

is_(sorted(used), sorted(rule.split()[1] for rule in RULES),
    "every rule of the table made an event")
done_testing()
