/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Programs that receive and verify, as texts. Each needs only its language. */

/** Quote a text for a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * Language: its text. `about` is {body, mime, type, id, target, path}: a sample body and its
 * content type, an event type, the subscription's id, its URL, and that URL's path.
 */
export const SAMPLES = {
  curl: ({ body, mime, type, id, target }) => `# Sends your target what it would get, signed:
# SECRET=whsec_… bash send.sh
body=${quoted(body)}
id=test-$(date +%s) time=$(date +%s)
key=$(printf %s "\${SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
signature=v1,$(printf %s "$id.$time.$body" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
curl -i ${quoted(target)} \\
    -H 'Content-Type: ${mime}' -H "webhook-id: $id" \\
    -H "webhook-timestamp: $time" -H "webhook-signature: $signature" \\
    -H 'X-Hook-Event: ${type}' -H 'X-Hook-Subscription: ${id}' --data-raw "$body"`,

  "Node.js": ({ path, type }) => `// SECRET=whsec_… PORT=3000 node receive.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.SECRET.replace("whsec_", ""), "base64");

function verified(headers, body) {
  const time = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) {
    return false; // too old, or from the future
  }
  const expected = createHmac("sha256", key)
    .update(\`\${headers["webhook-id"]}.\${time}.\`).update(body).digest();
  return String(headers["webhook-signature"]).split(" ").some((one) => {
    const signature = Buffer.from(one.replace("v1,", ""), "base64");
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks); // the raw bytes: they are what is signed
  const mine = request.url.split("?")[0] === ${JSON.stringify(path)};
  const good = mine && verified(request.headers, body);
  response.writeHead(good ? 204 : 400).end(); // answer first, work afterwards
  if (good) {
    // ${type} …; skip it if this webhook-id is known already
    console.log(request.headers["x-hook-event"], request.headers["webhook-id"], JSON.parse(body));
  }
}).listen(process.env.PORT || 3000);`,

  Python: ({ path, type }) => `# SECRET=whsec_… PORT=3000 python3 receive.py
import base64, hashlib, hmac, json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))

def verified(headers, body):
    sent = headers.get("webhook-timestamp", "")
    if not sent.isdigit() or abs(time.time() - int(sent)) > 300:
        return False  # too old, or from the future
    signed = f"{headers.get('webhook-id')}.{sent}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, one)
               for one in headers.get("webhook-signature", "").split())

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        # the raw bytes: they are what is signed
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mine = self.path.partition("?")[0] == ${JSON.stringify(path)}
        good = mine and verified(self.headers, body)
        self.send_response(204 if good else 400)  # answer first, work afterwards
        self.end_headers()
        if good:
            # ${type} …; skip it if this webhook-id is known already
            print(self.headers["X-Hook-Event"], self.headers["webhook-id"], json.loads(body),
                  flush=True)

ThreadingHTTPServer(("", int(os.environ.get("PORT", "3000"))), Receiver).serve_forever()`,

  PHP: ({ type }) => `<?php // SECRET=whsec_… in the environment
$body = file_get_contents('php://input'); // the raw bytes: they are what is signed
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$key = base64_decode(substr(getenv('SECRET'), strlen('whsec_')));
$expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $key, true));
$good = false;
foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
    $good = hash_equals($expected, $signature) || $good;
}
if (!$good || abs(time() - (int)$time) > 300) {
    http_response_code(400);
    exit;
}
http_response_code(204); // answer first, work afterwards
// ${type} …; skip it if this webhook-id is known already
error_log($_SERVER['HTTP_X_HOOK_EVENT'] . " $id " . print_r(json_decode($body, true), true));`,

  "C#": ({ path, type }) => `// SECRET=whsec_… dotnet run (an empty ASP.NET Core project)
using System.Security.Cryptography;
using System.Text;

var key = Convert.FromBase64String(
    Environment.GetEnvironmentVariable("SECRET")!["whsec_".Length..]);

bool Verified(IHeaderDictionary headers, byte[] body)
{
    if (!long.TryParse(headers["webhook-timestamp"], out var time) ||
        Math.Abs(DateTimeOffset.UtcNow.ToUnixTimeSeconds() - time) > 300)
    {
        return false; // too old, or from the future
    }
    byte[] signed = [.. Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{time}."), .. body];
    var expected = "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed));
    return headers["webhook-signature"].ToString().Split(' ').Any(one =>
        CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(one)));
}

var app = WebApplication.Create(args);
app.MapPost(${JSON.stringify(path)}, async (HttpRequest request) =>
{
    using var raw = new MemoryStream(); // the raw bytes: they are what is signed
    await request.Body.CopyToAsync(raw);
    if (!Verified(request.Headers, raw.ToArray())) return Results.BadRequest();
    // ${type} …; skip it if this webhook-id is known already
    Console.WriteLine($"{request.Headers["X-Hook-Event"]} {Encoding.UTF8.GetString(raw.ToArray())}");
    return Results.NoContent(); // answer first, work afterwards
});
app.Run();`,
};
