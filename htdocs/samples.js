/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* How to receive and verify a subscription's POSTs, with its own URL and events. */
import { address, call } from "./api.js";
import { button, fill, h } from "./dom.js";
import { code } from "./ui.js";

/** A text in single quotes of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const LANGUAGES = {
  curl: ({ body, type, id, target }) => `# What arrives, sent by hand to your target. $SECRET is the signing secret.
body=${quoted(body)}
id=test-$(date +%s) time=$(date +%s)
key=$(printf %s "\${SECRET#whsec_}" | base64 -d | xxd -p -c 256)
signature=v1,$(printf %s "$id.$time.$body" |
    openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary | base64)
curl -i ${quoted(target)} \\
    -H 'Content-Type: application/json' -H "webhook-id: $id" \\
    -H "webhook-timestamp: $time" -H "webhook-signature: $signature" \\
    -H 'X-Hook-Event: ${type}' -H 'X-Hook-Subscription: ${id}' -d "$body"`,
  "Node.js": ({ path, type }) => `// npm install standardwebhooks express
import express from "express";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.SECRET); // whsec_…
const app = express();

app.post(${JSON.stringify(path)}, express.raw({ type: "*/*" }), (request, response) => {
  let items;
  try {
    items = webhook.verify(request.body.toString(), request.headers);
  } catch {
    return response.sendStatus(400);
  }
  // ${type}: seen before, if this id is known
  console.log(request.headers["webhook-id"], request.headers["x-hook-event"], items);
  response.sendStatus(204); // answer first, work afterwards
});
app.listen(3000);`,
  Python: ({ path, type }) => `# pip install standardwebhooks flask
import os
from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
webhook = Webhook(os.environ["SECRET"])  # whsec_…

@app.post(${JSON.stringify(path)})
def receive():
    try:
        items = webhook.verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        return "", 400
    # ${type}: seen before, if this id is known
    print(request.headers["webhook-id"], request.headers["X-Hook-Event"], items)
    return "", 204  # answer first, work afterwards`,
  PHP: ({ type }) => `<?php // ${type}
$body = file_get_contents('php://input');
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$key = base64_decode(substr(getenv('SECRET'), strlen('whsec_')));
$expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $key, true));
$valid = false;
foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
    $valid = hash_equals($expected, $signature) || $valid;
}
if (!$valid || abs(time() - (int)$time) > 300) {
    http_response_code(400);
    exit;
}
$items = json_decode($body, true);
http_response_code(204); // answer first, work afterwards`,
  "C#": ({ path, type }) => `using System.Security.Cryptography;
using System.Text;

var app = WebApplication.Create(args);
var key = Convert.FromBase64String(Environment.GetEnvironmentVariable("SECRET")!["whsec_".Length..]);

app.MapPost(${JSON.stringify(path)}, async (HttpRequest request) =>
{
    using var reader = new StreamReader(request.Body);
    var body = await reader.ReadToEndAsync();
    string id = request.Headers["webhook-id"]!, time = request.Headers["webhook-timestamp"]!;
    var hash = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{id}.{time}.{body}"));
    var expected = Encoding.UTF8.GetBytes("v1," + Convert.ToBase64String(hash));
    var age = Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(time));
    var valid = age <= 300 && ((string)request.Headers["webhook-signature"]!).Split(' ')
        .Any(one => CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(one)));
    // ${type}: seen before, if this id is known
    return valid ? Results.NoContent() : Results.BadRequest();
});
app.Run();`,
};

/** Put the box with all languages in its place. */
export async function receive(place, one, types) {
  const covered = types.find(({ type }) => one.events.some((pattern) => pattern === "*" ||
    pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)))));
  const type = covered ? covered.type : one.events[0];
  const body = covered ? await call("GET", `event-types/${type}/sample`).then((answer) => answer.text, () => "[{}]") : "[{}]";
  const about = { body, type, id: one.id, target: one.target_url, path: new URL(one.target_url).pathname };
  const box = h("div");
  const tabs = Object.keys(LANGUAGES).map((name) => button(name, () => show(name), { class: "tab" }));
  const show = (name) => {
    tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.textContent === name)));
    fill(box, code(LANGUAGES[name](about), { label: `${name} example` }));
  };
  show("Node.js");
  const secret = h("span");
  fill(secret, button("Show the secret", async (event) => {
    event.currentTarget.disabled = true;
    const answer = await call("GET", `subscriptions/${one.id}/secret`);
    fill(secret, code(answer.data.secret, { label: "Secret" }));
  }, { icon: "key", class: "small" }));
  fill(place, h("p", { class: "faint" }, "Check the signature over the raw body, refuse what is older than five minutes, and remember webhook-id: ",
    "one event may arrive twice. Answer 2xx at once; answer 410 to be unsubscribed."),
  h("div", { class: "secret-line" }, h("code", null, "SECRET"), secret),
  h("div", { class: "tabs", role: "group", "aria-label": "Language" }, tabs), box,
  h("p", { class: "faint" }, "All of the API: ", h("a", { href: address("openapi.json") }, "openapi.json")));
}
