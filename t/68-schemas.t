#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Types have schemas: configured ones, against which events are checked, or inferred ones."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

SCHEMA = {"$id": "https://example.com/employee", "type": "object", "required": ["id", "home"],
          "properties": {"id": {"type": "integer"}, "home": {"$ref": "#/$defs/address"},
                         "age": {"type": "integer", "minimum": 16}},
          "$defs": {"address": {"type": "object", "required": ["city"],
                                "properties": {"city": {"type": "string"}}}}}
SAMPLE = '{"id": 12345678901234567890,  "home": {"city": "Bern"}}'
RULES = r"""
    RestHooksEvent employee.created POST "^/employers/(?<tenant>[^/]+)/employees$"
    RestHooksEventType employee.created "hired" sample.json schema=schema.json
    RestHooksEventType order.paid "paid"
"""
receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend, rules=RULES, start=False)
for name, text in (("schema.json", json.dumps(SCHEMA)), ("sample.json", SAMPLE)):
    with open(httpd.path(name), "w", encoding="utf-8") as file:
        file.write(text)
httpd.start()
api, app, other = httpd.api(), httpd.api(role="app"), httpd.api("other")
TYPE = "/event-types/employee.created"

# Configured schemas
answer = api.get(TYPE + "/schema")
is_((answer.status, answer.type), (200, "application/schema+json"), "a type has its schema")
is_(answer.text, json.dumps(SCHEMA), "it is the file's schema")
is_(api.get(api.get(TYPE).json["schema_url"]).json, SCHEMA, "the type links to it")
is_(api.get("/event-types/no.such/schema").status, 404, "an unknown type has no schema")

# Events that violate their schema


def breaches():
    found = re.search(r"resthooks_events_schema_breaches_total\{[^}]*\} (\d+)",
                      httpd.request("GET", "/hooks/metrics").text)
    return int(found[1]) if found else 0


def reason(event):
    return api.get("/events/" + event).json.get("reason")


api.subscribe(receiver.url + "/in", ["employee.created"])
good = {"id": 1, "home": {"city": "Bern"}, "age": 16}
fits = app.post("/events", {"type": "employee.created", "data": good}).json["id"]
is_((breaches(), reason(fits)), (0, None), "an event that fits its schema is not counted")
young = app.post("/events", {"type": "employee.created", "data": {**good, "age": 15}}).json["id"]
is_(breaches(), 1, "an event that violates it is counted")
batch = [{"type": "employee.created", "data": data, "id": "once"} for data in ({"id": 1}, {"id": 1})]
app.post("/events", batch)
is_(breaches(), 2, "it is counted once, even if it is published twice")
received = [json.loads(r.body)[0] for r in receiver.wait_for(3, "/in")]
is_(sorted(json.dumps(data) for data in received),
    sorted(json.dumps(data) for data in ({"id": 1}, good, {**good, "age": 15})),
    "both events are sent unchanged")
is_(reason(young), "schema: $['age'] minimum", "the log says which keyword is violated where")

# Inferred schemas
is_(api.get("/event-types/order.paid/schema").status, 404,
    "a type without a schema and without events has none")
for i in range(24):
    app.post("/events", {"type": "order.paid", "data": {
        "id": i, "state": "open" if i % 2 else "paid", "at": "2026-01-02T03:04:05Z",
        "customer": f"Ann {i}", **({"note": None} if i else {})}})
answer = api.get("/event-types/order.paid/schema")
is_((answer.status, answer.type), (200, "application/schema+json"),
    "a schema is inferred from events")
is_(answer.json["properties"],
    {"id": {"type": "integer"}, "state": {"type": "string", "enum": ["open", "paid"]},
     "at": {"type": "string", "format": "date-time"}, "customer": {"type": "string"},
     "note": {"type": "null"}}, "it has types, formats, and enumerations of few words")
is_(sorted(answer.json["required"]), ["at", "customer", "id", "state"],
    "it has what all events have")
is_("Ann" in answer.text, False, "it does not contain the values of strings")
is_(other.get("/event-types/order.paid/schema").status, 404,
    "other tenants' events are not used")

# Webhooks of /openapi.json
doc = httpd.api(None).get("/openapi.json").json
is_(sorted(doc["webhooks"]), ["employee.created", "order.paid"], "each type is a webhook")
media = doc["webhooks"]["employee.created"]["post"]["requestBody"]["content"]["application/json"]
is_(media["schema"], {"type": "array", "minItems": 1, "maxItems": 1,
                      "items": {"$ref": "#/components/schemas/event.employee.created"}},
    "its request is an array of one item of the type's schema")
is_(media["example"], [json.loads(SAMPLE)], "its example is the type's sample")
component = doc["components"]["schemas"]["event.employee.created"]
is_(component["properties"]["home"]["$ref"],
    "#/components/schemas/event.employee.created/$defs/address",
    "the schema's references lead to its new position")
is_("$id" in component, False, "an $id of the schema does not change their base")
is_(doc["webhooks"]["order.paid"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    ["items"], {}, "a type without a configured schema has any item, whatever events there are")
is_([p["name"] for p in doc["webhooks"]["order.paid"]["post"]["parameters"]],
    ["webhook-id", "webhook-timestamp", "webhook-signature", "X-Hook-Event",
     "X-Hook-Subscription"], "the header fields are described")
done_testing()
