#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""/openapi.json describes exactly what exists."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

receiver, backend = Receiver(), Backend()
httpd = Httpd(backend=backend)
api, app = httpd.api(), httpd.api(role="app")
answer = api.get("/openapi.json")
is_((answer.status, answer.type), (200, "application/json"), "the API has a description")
doc = answer.json
is_(doc["openapi"], "3.1.0", "in OpenAPI 3.1")
is_(doc["servers"], [{"url": "/hooks"}], "it names the base")
is_(httpd.api(None).get("/openapi.json").status, 200, "for everybody")


def resolve(schema):
    while "$ref" in schema:
        node = doc
        for part in schema["$ref"][2:].split("/"):
            node = node[part]
        schema = node
    return schema


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
         "null": type(None)}


def wrong(value, schema, where="$"):
    """Check a value against a schema, with the keywords that are used here. Return the faults."""
    schema = resolve(schema)
    found = []
    if "oneOf" in schema and sum(not wrong(value, s) for s in schema["oneOf"]) != 1:
        found.append(f"{where}: not one of")
    if "anyOf" in schema and all(wrong(value, s) for s in schema["anyOf"]):
        found.append(f"{where}: not any of")
    for part in schema.get("allOf", []):
        found += wrong(value, part, where)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, KINDS[k]) and
                         not (k == "integer" and isinstance(value, bool)) for k in kinds):
        return found + [f"{where}: {type(value).__name__}, not {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r}")
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            found.append(f"{where}: {value!r} is not like {schema['pattern']}")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{where}: of {len(value)} characters")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                found.append(f"{where}.{name} is missing")
        for name, member in value.items():
            more = schema.get("additionalProperties", True)
            if name in properties:
                found += wrong(member, properties[name], f"{where}.{name}")
            elif more is False:
                found.append(f"{where}.{name} is not described")
            elif isinstance(more, dict):
                found += wrong(member, more, f"{where}.{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where}: {len(value)} items")
        for i, item in enumerate(value):
            found += wrong(item, schema.get("items", {}), f"{where}[{i}]")
    return found


bad = []
for reference in references(doc):
    try:
        resolve({"$ref": reference})
    except KeyError:
        bad.append(reference)
is_(bad, [], "every $ref leads somewhere")
ids = [op["operationId"] for methods in doc["paths"].values() for op in methods.values()]
is_(len(ids), len(set(ids)), "operationIds are unique")
incomplete = [(path, method) for path, methods in doc["paths"].items()
              for method, op in methods.items()
              if not op.get("summary") or not op.get("responses") or
              {p["name"] for p in op["parameters"] if p.get("in") == "path"} !=
              set(re.findall(r"{(\w+)}", path))]
is_(incomplete, [], "every operation has a summary, responses, and its path's parameters")

bad = [(name, wrong(example, schema)) for name, schema in doc["components"]["schemas"].items()
       for example in schema.get("examples", [])]
ok(len(bad) > 8, "schemas have examples")
is_([item for item in bad if item[1]], [], "the examples fit their schemas")
silent = [(path, method, code) for path, methods in doc["paths"].items()
          for method, op in methods.items() for code in ("400", "403", "503")
          if code not in op["responses"]]
is_(silent, [], "every operation says how it responds to bad parameters, to others' tenants, and "
    "when the database is down")

# For generated clients: they must be able to log in, to read null, to send only the members that
# were set, and to know the type of an array's elements.
ok({"basic", "bearer"} <= set(doc["components"]["securitySchemes"]) and doc["security"],
   "clients learn how to log in")
schemas = doc["components"]["schemas"]
is_([name for name, member in schemas["SubscriptionPatch"]["properties"].items()
     if "default" in member], [], "the schema for PATCH has no defaults")


def objects(node, where=""):
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            if key not in ("examples", "example"):
                yield from objects(value, f"{where}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from objects(value, f"{where}/{i}")


is_([f"{where}: {name}" for where, node in objects(doc) if "properties" in node
     for name in node.get("required", [])
     if "null" in resolve(node["properties"].get(name, {})).get("type", [])], [],
    "no required member may be null, which generated models refuse")
is_([where for where, node in objects(doc) if node.get("type") == "array" and
     "items" not in node], [], "every array names the type of its elements")

subscription = api.subscribe(receiver.url + "/in", ["*"])
event = app.post("/events", {"type": "employee.created", "data": {"id": 1}}).json["id"]
receiver.wait_for(1, "/in")
wait_until(lambda: api.deliveries(subscription["id"])[0]["state"] == "delivered")
delivery = api.deliveries(subscription["id"])[0]["id"]
job = api.post(f"/subscriptions/{subscription['id']}/replay",
               {"from": "2026-01-01T00:00:00Z"}).json["job"]["id"]
values = {"/subscriptions": subscription["id"], "/deliveries": delivery, "/events": event,
          "/jobs": job}
bodies = {"createSubscription": {"target_url": receiver.url, "events": ["employee.created"]},
          "replaceSubscription": {"target_url": receiver.url, "events": ["*"]},
          "patchSubscription": {"description": "x"}, "testSubscription": {}, "rotateSecret": {},
          "replay": {"from": "2026-01-01T00:00:00Z"},
          "redeliverMany": {"filter": {"state": "cancelled"}},
          "publish": {"type": "employee.created", "data": 1}}
order = sorted(((path, method, op) for path, methods in doc["paths"].items()
                for method, op in methods.items()), key=lambda o: (o[1] == "delete", -o[0].count("/")))
for path, method, op in order:
    root = "/" + path.split("/")[1]
    url = "" if path == "/" else path.replace("{type}", "employee.created").replace(
        "{id}", values.get(root, ""))
    answer = app.call(method.upper(), url, bodies.get(op["operationId"]))
    described = op["responses"].get(str(answer.status))
    ok(answer.status < 300 and described, f"{method.upper()} {path}: {answer.status} is described")
    if not described:
        diag(str(answer))
        continue
    if described.get("content"):
        schema = described["content"][answer.type]["schema"]
        body = answer.json if answer.type.endswith("json") else answer.text
        is_(wrong(body, schema), [], f"{method.upper()} {path}: so is its body")
    for name in described.get("headers", {}):
        if name != "Link":
            ok(answer.headers[name], f"{method.upper()} {path}: it has {name}")
    if "requestBody" in op and op["operationId"] in bodies:
        for content in op["requestBody"]["content"].values():
            is_(wrong(bodies[op["operationId"]], content["schema"]), [],
                f"{method.upper()} {path}: the request too")
    # Members that the description does not name are refused.
    other = app.call(method.upper(), url + "?nonsense=1", bodies.get(op["operationId"]))
    is_(other.status, 400, f"{method.upper()} {path}: a parameter that is not described")
    other = app.call(method.upper(), url + "?tenant=other", bodies.get(op["operationId"]))
    is_(other.status, 403, f"{method.upper()} {path}: another's tenant")

# Bodies are accepted or refused as the description says.
target = {"target_url": receiver.url, "events": ["*"]}
one = api.subscribe(receiver.url, ["*"])["id"]
for method, url, path, body in [
        ("POST", "/subscriptions", "/subscriptions", body) for body in (
            {}, target, {"hookUrl": receiver.url, "event": "employee.*"},
            {"subscription_url": receiver.url, "event": "employee.*"},
            {"events": ["*"]}, {"target_url": receiver.url}, {**target, "url": receiver.url},
            {**target, "event": "*"}, {**target, "events": "employee.created"},
            {**target, "events": ["Employee"]}, {**target, "event": "employee.created."},
            {**target, "active": None, "description": None, "format": None, "headers": None,
             "ordered": None, "rate_limit": None, "secret": None},
            {**target, "headers": {"X-A": None}}, {**target, "format": "xml"},
            {**target, "nonsense": 1}, {**target, "secret": "abc"})] + [
        ("PATCH", "/subscriptions/" + one, "/subscriptions/{id}", body) for body in (
            {}, {"headers": {"X-A": "1", "X-B": None}}, {"headers": None}, {"format": None},
            {"rate_limit": None, "ordered": None, "active": None, "description": None},
            {"url": receiver.url, "event": "*"}, {"target_url": None}, {"events": None},
            {"secret": "whsec_" + "A" * 32}, {"nonsense": None})] + [
        ("POST", "/events", "/events", body) for body in (
            [], {"type": "employee.created", "data": None}, {"type": "employee", "data": 1},
            {"type": "employee.created", "data": 1, "id": None, "key": None, "time": None,
             "tenant": None}, {"type": "employee.created", "data": 1, "id": ""})] + [
        ("POST", f"/subscriptions/{one}/secret/rotate", "/subscriptions/{id}/secret/rotate", body)
        for body in ({"overlap": "90"}, {"overlap": "1h30m"}, {"overlap": 5})]:
    content = doc["paths"][path][method.lower()]["requestBody"]["content"]
    schema = content.get("application/merge-patch+json", content["application/json"])["schema"]
    answer = app.call(method, url, body)
    is_(answer.status < 300, not wrong(body, schema),
        f"{method} {path} {json.dumps(body)[:90]}: {answer.status}, as described")

# Every method that the description does not name for a path is refused.
for path, methods in doc["paths"].items():
    root = "/" + path.split("/")[1]
    url = "" if path == "/" else path.replace("{type}", "employee.created").replace(
        "{id}", values.get(root, ""))
    allow = {m.strip().lower() for m in api.call("OPTIONS", url).headers["Allow"].split(",")}
    is_(allow - {"head", "options"}, set(methods), f"{path} takes what is described, no more")
problem = api.get("/subscriptions?limit=0")
is_(wrong(problem.json, {"$ref": "#/components/schemas/Problem"}), [], "problems are described")
problem = api.post("/subscriptions", {})
is_(wrong(problem.json, {"$ref": "#/components/schemas/Problem"}), [], "problems with fields, too")
is_(api.get("/health").json, doc["components"]["schemas"]["Health"]["examples"][0],
    "/health is as in the example")
done_testing()
