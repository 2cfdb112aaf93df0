#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
# Packages: nodejs npm php-cli mono-mcs mono-runtime
"""docs/receivers.md: its verifiers judge correctly in every installed language, its receivers
accept a real delivery, and its commands work."""

import base64
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403

if (MPM, DB) != ("event", "sqlite3") or SANITIZED:
    skip_all("the documentation's code does not depend on the distribution")
with open(os.path.join(SOURCE, "docs", "receivers.md"), encoding="utf-8") as file:
    page = file.read()
folder = tempfile.mkdtemp(prefix="rhdocs-", dir="/tmp")
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))


def block(heading, language):
    """Return the first block of code in a language below a heading."""
    text = re.split(rf"^#+ {re.escape(heading)}$", page, maxsplit=1, flags=re.M)[1]
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)[1]


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300,
                          cwd=folder, **more)


# One real delivery
receiver = Receiver()
httpd = Httpd(extra='RestHooksEventType order.paid "an order was paid"')
api, app = httpd.api(), httpd.api(role="app")
subscription = api.subscribe(receiver.url + "/real", ["order.paid"])
app.post("/events", {"type": "order.paid", "data": {"id": 7, "text": "é"}})
post = receiver.wait_for(1, "/real")[0]
NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
real = {name: post.headers.get(name) for name in NAMES}
is_(sorted(name.lower() for name in re.findall(r"^([\w-]+):", block("What arrives", "http"), re.M)),
    sorted(name.lower() for name in post.headers.keys()),
    "the delivery has the header fields that are documented")

vector = dict(re.findall(r"^\| (\S+) \| `(.*)` \|$", page.split("### Test vector")[1], re.M))
SECRET, BODY = vector["secret"], vector["body"].encode()
known = {name: vector[name] for name in NAMES}
is_(sign(SECRET, known["webhook-id"], known["webhook-timestamp"], BODY),
    known["webhook-signature"], "the test vector is valid")
OTHER, AGES = "whsec_" + base64.b64encode(b"x" * 32).decode(), 10**9
signature = known["webhook-signature"]
CASES = [
    ("a real delivery", True, subscription["secret"], real, post.body, 300),
    ("the test vector", True, SECRET, known, BODY, AGES),
    ("one of two signatures", True, SECRET,
     {**known, "webhook-signature": "v1," + "A" * 43 + "= " + signature}, BODY, AGES),
    ("an old timestamp", False, SECRET, known, BODY, 300),
    ("another body", False, SECRET, known, BODY + b" ", AGES),
    ("another secret", False, OTHER, known, BODY, AGES),
    ("another id", False, SECRET, {**known, "webhook-id": "msg_1"}, BODY, AGES),
    ("another timestamp", False, SECRET, {**known, "webhook-timestamp": "1614265331"}, BODY, AGES),
    ("no signature", False, SECRET, {**known, "webhook-signature": ""}, BODY, AGES),
    ("half a signature", False, SECRET, {**known, "webhook-signature": signature[:20]}, BODY, AGES),
    ("a timestamp that is not a number", False, SECRET, {**known, "webhook-timestamp": "soon"}, BODY, AGES),
]
# Lines of secret, id, timestamp, signatures, body, tolerance, all in base64.
lines = ["\t".join(base64.b64encode(value if isinstance(value, bytes) else str(value).encode())
                   .decode() for value in (secret, *(head[name] for name in NAMES), body, age))
         for _, _, secret, head, body, age in CASES]
cases = write("cases", "\n".join(lines) + "\n")

PYTHON = """import base64
from webhook import verify
for line in open("cases"):
    fields = [base64.b64decode(x) for x in line.rstrip("\\n").split("\\t")]
    secret, a, b, c = (x.decode() for x in fields[:4])
    headers = {"webhook-id": a, "webhook-timestamp": b, "webhook-signature": c}
    print(verify(secret, headers, fields[4], int(fields[5])))
"""
NODE = """import { readFileSync } from "node:fs";
import { verify } from "./webhook.mjs";
for (const line of readFileSync("cases", "utf8").trimEnd().split("\\n")) {
  const fields = line.split("\\t").map((x) => Buffer.from(x, "base64"));
  const [secret, a, b, c, , age] = fields.map(String);
  const headers = { "webhook-id": a, "webhook-timestamp": b, "webhook-signature": c };
  console.log(verify(secret, headers, fields[4], +age));
}
"""
PHP = """
foreach (file('cases', FILE_IGNORE_NEW_LINES) as $line) {
    [$secret, $a, $b, $c, $body, $age] = array_map('base64_decode', explode("\\t", $line));
    $headers = ['webhook-id' => $a, 'webhook-timestamp' => $b, 'webhook-signature' => $c];
    echo verify($secret, $headers, $body, (int) $age) ? "true\\n" : "false\\n";
}
"""
CSHARP = """
public static class Driver
{
    public static void Main()
    {
        foreach (var line in System.IO.File.ReadAllLines("cases"))
        {
            var raw = line.Split('\\t').Select(Convert.FromBase64String).ToArray();
            var text = raw.Select(Encoding.UTF8.GetString).ToArray();
            Console.WriteLine(Webhook.Verify(text[0], text[1], text[2], text[3], raw[4],
                                             long.Parse(text[5])));
        }
    }
}
"""
GO = """
func main() {
	text, _ := os.ReadFile("cases")
	for _, line := range strings.Split(strings.TrimRight(string(text), "\\n"), "\\n") {
		fields := [][]byte{}
		for _, field := range strings.Split(line, "\\t") {
			raw, _ := base64.StdEncoding.DecodeString(field)
			fields = append(fields, raw)
		}
		age, _ := strconv.Atoi(string(fields[5]))
		fmt.Println(Verify(string(fields[0]), string(fields[1]), string(fields[2]),
			string(fields[3]), fields[4], time.Duration(age)*time.Second))
	}
}
"""
SHELL = """
while IFS="\t" read -r secret a b c body age; do
    printf %s "$body" | openssl base64 -d -A >body
    text() { printf %s "$1" | openssl base64 -d -A; }
    if verify "$(text "$secret")" "$(text "$a")" "$(text "$b")" "$(text "$c")" body "$(text "$age")"
    then echo true; else echo false; fi
done <cases
""".replace("\\t", "\t")


def judge(language, *steps):
    """Run the steps; the last one prints true or false for each case."""
    for step in steps:
        if not shutil.which(step[0]):
            skip(f"{language}: the verifier judges right", f"{step[0]} is not here")
            return
    for step in steps:
        done = run(*step)
        if done.returncode != 0:
            ok(False, f"{language}: the code runs")
            diag(done.stdout + done.stderr)
            return
    said = done.stdout.lower().split()
    is_(said, [str(wanted).lower() for _, wanted, *_ in CASES],
        f"{language}: the verifier judges right")


write("webhook.py", block("Python", "python"))
write("run.py", PYTHON)
judge("Python", [sys.executable, "-B", "run.py"])
write("webhook.mjs", block("Node", "js"))
write("run.mjs", NODE)
judge("Node", ["node", "run.mjs"])
write("run.php", block("PHP", "php") + PHP)
judge("PHP", ["php", "run.php"])
write("run.cs", block("C#", "csharp") + CSHARP)
judge("C#", ["mcs", "run.cs"], ["mono", "run.exe"])
go = block("Go", "go").replace("package webhook", "package main")
go = go.replace("import (", 'import (\n\t"fmt"\n\t"os"', 1)
write("run.go", go + GO)
judge("Go", ["go", "run", "run.go"])
for shell in ("dash", "bash"):
    write("run.sh", block("Shell", "sh") + SHELL)
    judge(shell, [shell, "run.sh"])


# The complete receivers get a real delivery, the same again, and a wrong signature.
def whole(language, name, code, program):
    if not shutil.which(program):
        skip(f"{language}: the receiver takes a delivery", f"{program} is not here")
        return
    write(name, code)
    port = free_port()
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    process = subprocess.Popen(
        [program, name], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port),
             "PYTHONDONTWRITEBYTECODE": "1"})
    at_end(process.kill)
    url = f"http://127.0.0.1:{port}/in"

    def listens():
        try:
            return request("POST", url, "x").status
        except OSError:
            return None

    is_(wait_until(listens), 401, f"{language}: what is not signed is refused")
    mine = api.subscribe(url, ["order.paid"], secret=secret)
    app.post("/events", {"type": "order.paid", "data": {"id": language}})
    ok(wait_until(lambda: [d["state"] for d in api.deliveries(mine["id"])] == ["delivered"]),
       f"{language}: the receiver takes a delivery")
    delivery = api.deliveries(mine["id"])[0]
    is_(delivery["last_status_code"], 204, f"{language}: with the answer that is shown")
    is_(api.post(f"/deliveries/{delivery['id']}/redeliver").status, 202,
        f"{language}: it is sent again")
    ok(wait_until(lambda: api.deliveries(mine["id"])[0]["attempt_count"] == 2
                  and api.deliveries(mine["id"])[0]["state"] == "delivered"),
       f"{language}: which it takes, too")
    api.call("DELETE", f"/subscriptions/{mine['id']}")
    if language == "Python":
        check = ("import sqlite3; print(sqlite3.connect('inbox.db')"
                 ".execute('SELECT type, subscription FROM event').fetchall())")
        is_(run(sys.executable, "-c", check).stdout.strip(),
            repr([("order.paid", mine["id"])]),
            "Python: the receiver stores a repeated delivery once")
        # The documented command sends to port 8000; send to this receiver's port instead.
        command = block("On your own machine", "sh").replace(":8000", f":{port}")
        command = re.sub("WEBHOOK_SECRET=.*", f"WEBHOOK_SECRET={secret}", command)
        done = run("bash", "-c", block("Shell", "sh") + command.replace("curl -i", "curl -is"))
        like(done.stdout, r"^HTTP/1\.[01] 204",
             "the receiver accepts the documented command's signature") or diag(
            done.stdout + done.stderr)
    process.kill()
    out = process.communicate()[0].decode()
    if language == "Node":
        is_(out.count("order.paid"), 1,
            "Node: the receiver processes a repeated delivery once") or diag(out)


whole("Python", "receiver.py", block("A whole receiver", "python"), sys.executable)
whole("Node", "receiver.mjs", block("A whole receiver", "js"), "node")
done_testing()
