#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl rules: an OpenAPI description becomes rules that httpd takes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl  # noqa: E402

import shutil
import tempfile

folder = tempfile.mkdtemp(prefix="rh-ctl-", dir="/tmp")
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
ctl = Ctl()


def file(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text if isinstance(text, str) else json.dumps(text))
    return path


def rules(doc, *options):
    """Return the lines of the output without comments."""
    done = ctl("rules", doc if isinstance(doc, str) else file("api.json", doc), *options)
    return [line for line in done.out.splitlines() if not line.startswith("#")]


def ref(name):
    return {"$ref": "#/components/schemas/" + name}


def body(schema, code="200", **media):
    return {"responses": {code: {"description": "", "content": {
        "application/json": {"schema": schema, **media}}}}}


def request(schema):
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


NONE = {"responses": {"204": {"description": "done"}}}
SCHEMAS = {
    "Employee": {"type": "object", "required": ["id", "name", "password"], "properties": {
        "id": {"type": "integer", "example": 7}, "name": {"type": "string", "example": "Ann"},
        "password": {"type": "string", "writeOnly": True},
        "boss": {"nullable": True, "allOf": [ref("Employee")]},
        "age": {"type": "integer", "nullable": True, "minimum": 15, "exclusiveMinimum": True}}},
    "Wrapped": {"type": "object", "properties": {"data": ref("Employee"),
                                                 "meta": {"type": "object"}}},
    "Note": {"type": "object", "properties": {"noteId": {"type": "string"}}},
    "Message": {"type": "object", "properties": {"message": {"type": "string"}}}}
EMPLOYEES = "/employers/{employer_id}/employees"
DOC = {"openapi": "3.0.3", "servers": [{"url": "https://api.example.com/v1/"}],
       "components": {"schemas": SCHEMAS}, "paths": {
    EMPLOYEES: {"get": body({"type": "array", "items": ref("Employee")}),
                "post": {"summary": 'Add an "employee"', **body(ref("Employee"), "201")}},
    EMPLOYEES + "/bulk": {"post": body({"type": "array", "items": ref("Employee")})},
    EMPLOYEES + "/{employee_id}": {"get": body(ref("Wrapped")), "put": body(ref("Wrapped")),
                                   "patch": body(ref("Wrapped")), "delete": NONE},
    EMPLOYEES + "/{employee_id}/promote": {"post": NONE},
    "/orders/{id}": {"put": {**request(ref("Note")), **NONE}},
    "/orders/{id}/cancel": {"post": body(ref("Message"))},
    "/orders/{id}/notes": {"get": body({"type": "array", "items": ref("Note")}),
                           "post": body(ref("Note"), "201")},
    "/teams/{id}/notes": {"post": body(ref("Note"), "201")},
    "/notes.v2/{id}:archive": {"post": body(ref("Note"))},
    "/login": {"post": NONE}, "/{id}": {"delete": NONE}}}

is_([line for line in rules(DOC) if line.startswith("RestHooksEvent ")], [
    'RestHooksEvent employee.created POST "^/v1/employers/(?<tenant>[^/]+)/employees$"',
    'RestHooksEvent employee.created POST "^/v1/employers/(?<tenant>[^/]+)/employees/bulk$" each=$[*]',
    'RestHooksEvent employee.updated PUT,PATCH '
    '"^/v1/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)$" data=response:$.data',
    'RestHooksEvent employee.deleted DELETE '
    '"^/v1/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)$" data=before:$.data',
    'RestHooksEvent employee.promoted POST '
    '"^/v1/employers/(?<tenant>[^/]+)/employees/(?<key>[^/]+)/promote$" data=after:$.data '
    'url=/v1/employers/%{env:MATCH_TENANT}/employees/%{env:MATCH_KEY}',
    'RestHooksEvent order.updated PUT "^/v1/orders/(?<key>[^/]+)$" data=request',
    'RestHooksEvent order.cancelled POST "^/v1/orders/(?<key>[^/]+)/cancel$"',
    'RestHooksEvent order_note.created POST "^/v1/orders/(?<id>[^/]+)/notes$" key=$.noteId',
    'RestHooksEvent team_note.created POST "^/v1/teams/(?<id>[^/]+)/notes$" key=$.noteId',
    'RestHooksEvent notes_v2.archived POST "^/v1/notes\\.v2/(?<key>[^/:]+):archive$"'],
    "rules have types by resource and verb, groups, and the data of responses")
comments = [line for line in ctl("rules", file("api.json", DOC)).out.splitlines()
            if line.startswith("#")]
is_(comments[1:], ["# POST /login: reads, or is about a session",
                   "# DELETE /{id}: names no resource"], "operations without a rule are listed")
ok(all(line.endswith(" observe") for line in rules(DOC, "--observe")
       if line.startswith("RestHooksEvent ")), "--observe applies to all rules")
like(rules(DOC, "--prefix", "/x.y")[0], r'"\^/x\\\.y/employers', "--prefix replaces the server's")
is_(ctl("rules", file("api.json", DOC), "--prefix", "v1").status, 2,
    "--prefix must begin with a slash")

# Samples and schemas, and httpd with all of it

save = os.path.join(folder, "saved")
is_(ctl("rules", file("api.json", DOC), "--save", save).status, 1, "--save needs its directory")
os.mkdir(save)
lines = rules(DOC, "--save", save)
is_([line for line in lines if "EventType employee.created" in line],
    [f'RestHooksEventType employee.created "Add an \\"employee\\"" '
     f'"{save}/employee.created.sample.json" "schema={save}/employee.created.schema.json"'],
    "types have descriptions, samples and schemas")


def saved(name):
    with open(os.path.join(save, name), encoding="utf-8") as source:
        return json.load(source)


is_({k: v for k, v in saved("employee.created.sample.json").items() if k in ("id", "name", "password")},
    {"id": 7, "name": "Ann"}, "a sample is made from examples, without write-only members")
schema = saved("employee.created.schema.json")
is_((schema["required"], sorted(schema["properties"])), (["id", "name"], ["age", "boss", "id", "name"]),
    "so is a schema")
is_(schema["properties"]["age"], {"type": ["integer", "null"], "exclusiveMinimum": 15},
    "OpenAPI 3.0's nullable and exclusive bounds are translated")
is_(schema["properties"]["boss"]["anyOf"][0]["allOf"][0]["$ref"], "#/$defs/Employee",
    "references lead to definitions in the same file")
ok("Employee" in schema["$defs"], "the file has these")
httpd = Httpd(start=False, extra="\n".join(lines))
taken, said = httpd.check_config()
ok(taken, "httpd accepts all of it") or diag(said)

# Other kinds of description

YAML = """
swagger: "2.0"
basePath: /api
definitions:
  Pet: &pet
    type: object
    properties:
      id: {type: integer}
      born: {type: string, example: 2020-01-02}
paths:
  /pets:
    post:
      description: |-
        Add a ${pet}
        to the shop
      responses:
        200: {description: ok, schema: {$ref: "#/definitions/Pet"}}
  /pets/{petId}/actions/sell:
    post:
      responses:
        '200': {description: ok, schema: *pet}
"""
lines = rules(file("api.yaml", YAML))
is_(lines, ['RestHooksEvent pet.created POST "^/api/pets$"',
            'RestHooksEvent pet.sold POST "^/api/pets/(?<key>[^/]+)/actions/sell$"',
            'RestHooksEventType pet.created "Add a  {pet}"',
            'RestHooksEventType pet.sold "pet.sold"'], "YAML, and Swagger 2.0")
SPRING = {"openapi": "3.1.0", "servers": [{"url": "http://localhost:8080",
                                           "description": "Generated server url"}],
          "components": {"schemas": {"Person": {"type": "object", "properties": {
              "id": {"type": "integer", "format": "int64"}}}}},
          "paths": {"/people/{id}": {"put": {"operationId": "update", "responses": {"200": {
              "description": "OK", "content": {"*/*": {"schema": ref("Person")}}}}}}}}
is_(rules(SPRING)[0], 'RestHooksEvent person.updated PUT "^/people/(?<key>[^/]+)$"',
    "descriptions that Spring generates")

# Invalid input

for text, words in (("{", "invalid JSON"), ("a: [1", "invalid YAML: .*line"), ("a: *b", "anchor"),
                    ("[1]", "no paths"), ("x: 1", "no paths"), ("", "invalid YAML")):
    done = ctl("rules", file("bad", text))
    is_(done.status, 1, f"{text!r} is not taken")
    like(done.err, words, "the error gives the reason")
loop = {"openapi": "3.1.0", "components": {"schemas": {"A": ref("B"), "B": ref("A")}},
        "paths": {"/as": {"post": body(ref("A"))}}}
is_(rules(loop)[0], 'RestHooksEvent a.created POST "^/as$"', "circular references end")
bombs = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
is_(ctl("rules", file("bomb", bombs + "paths: {/as: {post: {responses: {200: {schema: {enum: *a39}}"
                      "}}}}\n")).status, 0, "aliases that multiply are not followed")
is_(ctl("rules", file("empty.json", {"paths": {}})).status, 1,
    "a description without paths makes no rules")
done_testing()
