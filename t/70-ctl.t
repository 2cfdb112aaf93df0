#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl with the API: subscriptions, deliveries, redelivery, events, and errors."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl, Listen, environment, find_ctl  # noqa: E402

import base64
import hashlib
import pty
import shutil
import tempfile
import termios

PASSWORDS = {"acme": "s3cret:with colon", "globex": "other", "admin": "root", "app": "app"}

folder = tempfile.mkdtemp(prefix="rh-ctl-", dir="/tmp")
os.chmod(folder, 0o755)
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
passwords = os.path.join(folder, "passwords")
with open(passwords, "w", encoding="utf-8") as file:
    for name, password in PASSWORDS.items():
        digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
        file.write(f"{name}:{{SHA}}{digest}\n")

backend, receiver = Backend(), Receiver()
httpd = Httpd(backend=backend, retry="1s", expect=[r"AH01617"],
              extra='RestHooksEventType payroll.closed "The payroll of a month is closed"',
              location=f"""SetHandler resthooks
    AuthType Basic
    AuthName hooks
    AuthBasicProvider file
    AuthUserFile {passwords}
    Require valid-user
    RestHooksTenant "%{{REMOTE_USER}}"
    RestHooksPublisher "%{{REMOTE_USER}} == 'app'"
    RestHooksAdmin "%{{REMOTE_USER}} == 'admin'"
""")
url = httpd.url + "/hooks"
acme = Ctl("--url", url, "--user", "acme", RESTHOOKSCTL_PASSWORD=PASSWORDS["acme"])
globex = Ctl("--url", url + "/", "--user", "globex:other")
admin = Ctl("--user", "admin:root", RESTHOOKSCTL_URL=url)
app = Ctl(RESTHOOKSCTL_URL=url, RESTHOOKSCTL_USER="app", RESTHOOKSCTL_PASSWORD="app")

# Subscriptions

done = acme("subscriptions")
is_((done.status, done.out, done.err), (0, "none\n", ""), "a list without subscriptions says so")
done = acme("subscriptions", "--json")
is_(done.json, [], "as JSON it is an empty array")
done = acme("health")
is_(done.status, 0, "all is well")
like(done.out, r"^status +ok\n", "health says so")

port = free_port()
target = f"http://127.0.0.1:{port}/in"
created = acme("subscriptions", "create", target, "--event", "employee.created", "--event",
               "employee.deleted", "--description", "für Ada", "--json")
is_(created.status, 0, "a subscription is created") or diag(created)
subscription = created.json
is_((subscription["events"], subscription["description"]),
    (["employee.created", "employee.deleted"], "für Ada"), "it has the given members")
done = acme("subscriptions", "show", subscription["id"])
like(done.out, rf"(?m)^target_url +{target}$", "it is shown, one member per line")
like(done.out, r"(?m)^  delivered +0$", "nested members are indented")
done = acme("subscriptions")
like(done.out, rf"^ID +STATE .*\n{subscription['id']} +active .* employee.created "
               rf"employee.deleted +{target}\n$", "it is listed in a table")
done = globex("subscriptions", "show", subscription["id"])
is_((done.status, done.out), (1, ""), "another tenant does not see it")
like(done.err, r"^resthooksctl: 404 Not Found", "the error says so")
done = admin("subscriptions", "--tenant", "acme", "--json")
is_([s["id"] for s in done.json or []], [subscription["id"]],
    "an administrator does, with --tenant")
done = acme("subscriptions", "create", "ftp://elsewhere", "--event", "***")
is_(done.status, 1, "a request that the API refuses ends with status 1")
like(done.err, r"422 [^\n]*\n  target_url: must be [^\n]*\n  events\[0\]: ",
     "the error names the invalid fields")

# Deliveries: at first no target listens, then one does.

httpd.request("POST", "/employers/acme/employees", {"name": "Ada"})
rows = wait_until(lambda: acme("deliveries", "list", "--state", "failed", "--json").json)
is_(len(rows or []), 1, "a delivery without a listening target has failed")
delivery = rows[0]["id"]
done = acme("deliveries")
like(done.out, rf"^ID +CREATED .*\n{delivery} .* failed +employee.created +1 +2 +- +- +{target}\n$",
     "it is in the table")
for options, expected in ((["--state", "delivered"], 0), (["--event", "employee.created"], 1),
                          (["--event", "employee.deleted"], 0),
                          (["--subscription", subscription["id"]], 1),
                          (["--from", "1h"], 1), (["--to", "1h"], 0),
                          (["--from", "2020-01-01T00:00:00+02:00"], 1),
                          (["--status", "none"], 1), (["--status", "5xx"], 0),
                          (["--before", delivery], 0), (["--limit", "1"], 1)):
    is_(len(acme("deliveries", *options, "--json").json), expected,
        f"deliveries {' '.join(options)}: {expected}")
done = acme("deliveries", "show", delivery)
like(done.out, r"(?m)^state +failed$", "one delivery is shown")
like(done.out, r'payload\n  \[\n    \{\n      "id": 1,\n      "name": "Ada"\n',
                                      "it is shown with its payload")
like(done.out, r"(?m)^2 .* connect to 127\.0\.0\.1 port \d+: Connection refused$",
     "it is shown with the error of each attempt")

secret = acme("subscriptions", "secret", subscription["id"], "--json").json["secret"]
is_(secret, subscription["secret"], "the secret can be shown again")
saved = os.path.join(folder, "saved")
listen = Listen("--secret", secret, "--count", "1", "--save", saved, port=port)
done = acme("redeliver", delivery)
is_(done.status, 0, "a failed delivery is redelivered")
like(done.out, rf"^{delivery}  pending, attempt 3 follows now\n", "now")
is_(listen.wait(), 0, "listen ends after --count requests with status 0")
is_([(r["signature"], r["status"], json.loads(r["body"])) for r in listen.requests],
    [("ok", 200, [{"id": 1, "name": "Ada"}])], "the request is signed, and printed")
row = wait_until(lambda: [d for d in [acme("deliveries", "show", delivery, "--json").json]
                          if d["state"] == "delivered"])
is_(row and [a["status_code"] for a in row[0]["attempts"]], [None, None, 200], "it is delivered")
like(acme("deliveries", "show", delivery).out, r"(?m)^answer to attempt 3  200 from resthooksctl",
     "the delivery shows the response")
is_(os.listdir(saved), ["000001.http"], "the request is saved")
is_(os.stat(os.path.join(saved, "000001.http")).st_mode & 0o777, 0o600,
    "only its owner can read it")

failing = Listen("--secret", secret, "--fail", "503", "--delay", "300ms", "--count", "2", port=port)
began = time.monotonic()
httpd.request("POST", "/employers/acme/employees", {"name": "Charles"})
is_(failing.wait(), 0, "listen --fail responds with the given status")
ok(time.monotonic() - began >= 1.6, "--delay delays responses, which shows between two attempts")
is_([r["status"] for r in failing.requests], [503, 503], "it delays each attempt")
rows = wait_until(lambda: acme("deliveries", "--state", "failed", "--json").json)
is_([r["last_status_code"] for r in rows or []], [503], "the delivery failed because of them")

# Rotation and replay

done = acme("subscriptions", "rotate", subscription["id"], "--overlap", "1h", "--json")
is_(done.status, 0, "the secret is rotated")
new = done.json["secret"]
done = acme("replay", subscription["id"], "--from", "1h", "--dry-run")
is_((done.status, done.out), (0, "1 would be queued\n"), "a replay can be a dry run")
done = acme("replay", subscription["id"], "--from", "1h", "--state", "failed")
is_((done.status, done.out), (0, "1 queued\n"), "failed deliveries are replayed")
rows = wait_until(lambda: acme("deliveries", "--state", "failed", "--json").json)
rotated = Listen("--secret", new, "--count", "2", "--save", saved, port=port)
done = acme("replay", subscription["id"], "--from", "2020-01-01T00:00:00Z", "--to",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60)), "--state", "any",
            "--json")
is_((done.status, done.json["queued"], done.json["job"]["state"]), (0, 2, "done"),
    "a replay can be of all events of a time")
is_(rotated.wait(), 0, "the new secret verifies it")
is_(sorted(os.listdir(saved))[1:], ["000002.http", "000003.http"], "files are never overwritten")
done = Ctl("--secret", secret)("verify", os.path.join(saved, "000002.http"))
is_(done.status, 0, "during the overlap the old secret verifies a saved request")
done = acme("subscriptions", "end-overlap", subscription["id"])
is_((done.status, acme("subscriptions", "show", subscription["id"], "--json").json
     .get("old_secret_expires_at")), (0, None), "the overlap can be ended")
done = Ctl("--secret", new)("verify", os.path.join(saved, "000002.http"))
is_(done.status, 0, "the new secret verifies it as well")

# Changes of a subscription

done = acme("subscriptions", "pause", subscription["id"])
like(done.out, r"(?m)^state +paused$", "a subscription is paused")
done = acme("subscriptions", "revive", subscription["id"])
like(done.out, r"(?m)^state +active$", "and revived")
done = acme("subscriptions", "test", subscription["id"])
is_(done.status, 0, "a sample is sent")
like(done.out, r"(?m)^payload$", "and shown")
done = acme("subscriptions", "delete", subscription["id"])
is_((done.status, done.out), (0, "done\n"), "it is deleted")
done = acme("redeliver", delivery, delivery)
is_(done.status, 1, "nothing is sent to a deleted subscription")
is_(len(re.findall(rf"{delivery} is not sent again", done.err)), 2, "each delivery's error says so")

# Events

acme("subscriptions", "create", receiver.url + "/p", "--event", "payroll.*", "--format",
     "envelope", "--ordered", "--secret", new)
done = app("publish", "payroll.closed", '{"month": "2026-11"}', "--tenant", "acme", "--key", "k 1",
           "--id", "once", "--time", "2026-11-30T12:00:00+01:00")
like(done.out, r"^[0-9a-f-]{36}\n$", "an event is published, and its id printed") or diag(done)
event = done.out.strip()
again = app("publish", "payroll.closed", "-", "--tenant", "acme", "--id", "once",
            stdin=b'{"month": "2026-11"}')
is_(again.out.strip(), event, "the same --id again gives the first event's id")
got = receiver.wait_for(1, "/p")
is_(json.loads(got[0].body)["timestamp"], "2026-11-30T11:00:00.000Z", "it has the given time")
ok(b'"data":{"month": "2026-11"}' in got[0].body, "it has its data byte for byte")
ok(verify(new, got[0].headers, got[0].body), "it is signed by the secret that was chosen")
wait_until(lambda: acme("deliveries", "--event", "payroll.closed", "--json").json[0]["state"] ==
           "delivered")
done = acme("events", "--type", "payroll.closed")
like(done.out, rf"\n{event} .* payroll.closed +k 1 +publish +1 delivered\n", "the log has it")
done = acme("events", "show", event)
like(done.out, r'data\n  \{\n    "month": "2026-11"\n  \}\n', "the log has its data")
like(done.out, r"(?m)^DELIVERY .*\n.* delivered +1 +200 ", "the log has its deliveries")
done = acme("event-types")
like(done.out, r"(?m)^payroll.closed +false +The payroll of a month is closed$",
     "the catalogue is printed")
for number in range(3):
    app("publish", "payroll.closed", str(number), "--tenant", "globex")
first = globex("events", "--limit", "2")
like(first.out, r"There are more: --before [0-9a-f-]{36}\n$", "a page says how to get the next one")
is_(len(globex("events", "--limit", "2", "--before", first.out.split()[-1], "--json").json), 1,
    "the next page follows it")
done = acme("publish", "payroll.closed", "1")
is_(done.status, 1, "a login that is not a publisher is refused")
like(done.err, "403 Forbidden: Only publishers", "the error gives the reason")

# Errors

wrong = Ctl("--url", url, "--user", "acme:wrong")("subscriptions")
is_((wrong.status, wrong.out), (1, ""), "a wrong password ends with status 1")
like(wrong.err, r"answered 401.*: are name and password right\?",
     "the error asks about the password")
ok("wrong" not in wrong.err, "the error does not contain the password")
done = Ctl("--url", f"http://127.0.0.1:{free_port()}/hooks")("health")
is_(done.status, 1, "a server that does not listen ends with status 1")
like(done.err, r"/hooks/health: connect to 127\.0\.0\.1 port \d+: Connection refused",
     "the error gives the reason")
done = Ctl("--url", httpd.url + "/elsewhere")("health")
like(done.err, r"answered 404.*: is there a resthooks handler",
     "a URL without a handler is reported")
done = Ctl("--url", receiver.url + "/never", "--timeout", "500ms")("health")
is_(done.status, 1, "a server that does not respond ends with status 1")
like(done.err, r"time-out after 0\.5 s", "after --timeout")
done = Ctl("--url", receiver.url + "/redirect")("health")
like(done.err, r"answered 302.*which is not followed", "a redirect is not followed")
done = Ctl("--url", receiver.url + "/ok")("health")
like(done.err, r"answered 200, and not as the API does",
     "a response that is not the API's is reported")
done = Ctl("--url", receiver.url + "/garbage")("health")
like(done.err, r"not a valid answer", "a response that is not HTTP is reported")

authority, stranger = Authority(), Authority("Somebody Else")
secure = Receiver(tls=authority.context())
secure.on("/subscriptions", lambda received, number: (
    200, [("Content-Type", "application/json"), ("X-Seen", "1")], b"[]"))
done = Ctl("--url", f"https://localhost:{secure.port}", "--cacert", authority.file,
           "--header", "X-Extra: one", "--header", "X-Other:two")("subscriptions")
is_((done.status, done.out), (0, "none\n"),
    "https works with an authority of one's own") or diag(done)
headers = secure.received()[-1].headers
is_((headers.get("X-Extra"), headers.get("X-Other")), ("one", "two"), "--header is sent")
done = Ctl("--url", f"https://localhost:{secure.port}", "--cacert", stranger.file)("subscriptions")
is_(done.status, 1, "a certificate of another authority is refused")
like(done.err, r"TLS: ", "as such")
done = Ctl("--url", f"https://localhost:{secure.port}", "--cacert", "/nonexistent")("subscriptions")
like(done.err, r"/nonexistent", "a missing file is named")

nasty = "a\x1b]0;owned\x07b\x9bc\u202ed\n\x7f"
row = {**subscription, "description": nasty, "target_url": "http://x/\x1b[31m", "state": nasty}
receiver.on("/nasty/subscriptions", lambda received, number: (
    200, [("Content-Type", "application/json")], json.dumps([row], ensure_ascii=False).encode()))
receiver.on("/refused/subscriptions", lambda received, number: (
    500, [("Content-Type", "application/problem+json")],
    json.dumps({"title": nasty, "detail": nasty}, ensure_ascii=False).encode()))
bad = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
done = Ctl("--url", receiver.url + "/nasty")("subscriptions")
is_(done.status, 0, "a list with control characters is shown")
ok(not bad.search(done.out) and "a\\u001b]0;owned\\u0007b\\u009bc\\u202ed\\n\\u007f" in done.out,
   "all of them are escaped") or diag(repr(done.out))
is_(len(done.out.splitlines()), 2, "each row stays one line")
done = Ctl("--url", receiver.url + "/refused")("subscriptions")
ok(done.status == 1 and not bad.search(done.err), "errors are escaped too")


def at_terminal(arguments, typed):
    """Run it at a terminal, at which something is typed once it asks; return output and exit
    status."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(find_ctl(), [find_ctl(), *arguments], environment())
    shown, written = b"", False
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        shown += piece
        if typed and not written and b"Password" in shown:
            # It asks before it turns the echo off, but no person types as fast as that.
            wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, 10, 0.01)
            os.write(terminal, typed)
            written = True
        if not piece:
            return shown.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


shown, status = at_terminal(["health", "--url", url, "--user", "acme"],
                            PASSWORDS["acme"].encode() + b"\n")
like(shown, r"^Password of acme: \s*status +ok", "at a terminal the password is asked for")
ok("s3cret" not in shown and status == 0, "the password is not echoed") or diag(shown)
shown, status = at_terminal(["subscriptions", "--json", "--url", receiver.url + "/nasty"], None)
bad = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")
ok(status == 0 and not bad.search(shown) and json.loads(shown)[0]["description"] == nasty,
   "JSON at a terminal has the same members, without control characters") or diag(repr(shown))
done = Ctl("--url", receiver.url + "/nasty")("subscriptions", "--json")
ok("\x9b" in done.out and done.json == [row], "elsewhere it is byte for byte the API's")

# Wrong command lines end with status 2, without a request.

before = len(receiver.received())
there = Ctl()
for arguments, said in (
        ([], "which command"), (["frobnicate"], "unknown command frobnicate"),
        (["subscriptions", "frob"], "which of subscriptions list"), (["deliveries", "show"], "needs ID"),
        (["deliveries", "show", "../../x"], "is not an id"), (["redeliver"], "needs ID"),
        (["replay", subscription["id"]], "since when"),
        (["replay", subscription["id"], "--from", "yesterday"], "must be a time"),
        (["subscriptions", "--limit", "0"], "1-500"), (["subscriptions", "--limit", "501"], "1-500"),
        (["subscriptions", "--fail", "500"], "has no option --fail"),
        (["subscriptions", "--frob"], "unknown option --frob"), (["subscriptions", "-x"], "unknown option -x"),
        (["subscriptions", "--json=1"], "takes no value"), (["subscriptions", "--limit"], "needs a value"),
        (["subscriptions", "list", "more"], "what is more"),
        (["subscriptions", "create", "http://x/"], "which events"),
        (["subscriptions", "--event", "a.b", "--event", "c.d"], "given twice"),
        (["health", "--url", receiver.url], "given twice"),
        (["health", "--header", "none"], "Name: value"), (["health", "--timeout", "soon"], "500ms"),
        (["publish", "a.b", "{"], "not JSON"), (["publish", "a.b"], "needs TYPE DATA")):
    done = there(*arguments, options=("--url", receiver.url))
    ok(done.status == 2 and done.out == "" and said in done.err and "--help" in done.err,
       f"{' '.join(arguments) or 'nothing'}: {said}") or diag(done)
is_(len(receiver.received()), before, "no wrong command line made a request")
for bad_url, said in (("nowhere", "absolute http"), ("http://u:pw@host/", "credentials"),
                      ("http://host/?a=b", "query"), ("", "where is the API")):
    done = Ctl("--url", bad_url)("health")
    ok(done.status == 2 and said in done.err and "pw" not in done.err, f"--url '{bad_url}': {said}")
done = Ctl("--url", url, "--user", "acme")("health")
ok(done.status == 2 and "RESTHOOKSCTL_PASSWORD" in done.err,
   "without a terminal a missing password is reported")
like(Ctl()("--version").out, r"^resthooksctl \d+\.\d+\.\d+\n$", "--version")
done = Ctl()("deliveries", "list", "--help")
ok(done.status == 0 and "--subscription ID" in done.out, "--help of a command")

# A page of a list ends where the server has looked at enough.

prefix = "resthooks." if DB == "pgsql" else "resthooks_"
old, new = (("('018f0000-%s-7000-9000-' || lpad(n::text, 12, '0'))::uuid" if DB == "pgsql"
             else "printf('018f0000-%s-7000-9000-%%012d', n)") % part for part in ("0001", "0002"))
for id, count, kind in ((old, 1, "x.old"), (new, 5100, "x.new")):
    httpd.database.sql(
        f"INSERT INTO {prefix}delivery (tenant, id, event_id, subscription_id, type, state)"
        " WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < "
        f"{count}) SELECT 'globex', {id}, {id}, {id}, '{kind}', 'delivered' FROM s")
login = {"Authorization": "Basic " + base64.b64encode(b"globex:other").decode()}
answer = request("GET", url + "/deliveries?event=x.old", headers=login)
is_(answer.json, [], "it may be empty")
like(answer.headers["X-Hook-Searched"], r"^\S+Z/\S+Z$", "it says what was searched")
answer = request("GET", httpd.url + answer.next, headers=login)
is_(([d["type"] for d in answer.json], answer.next), (["x.old"], None), "the next one goes on")
found = answer.json[0]["id"]
like(globex("deliveries", "--event", "x.old").out, rf"\n{found} .*\n$", "resthooksctl goes on by itself")
like(globex("deliveries", "--event", "x.new", "--limit", "2").out, r"\nThere are more: --before \S+\n$",
     "and says where more are")
done_testing()
