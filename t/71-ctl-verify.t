#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""resthooksctl verify and listen: which requests are valid, and the errors for the others."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from ctl import Ctl, Listen, environment, find_ctl  # noqa: E402

import shutil
import socket
import subprocess
import tempfile
import threading

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
BODY = b'[{"id":17,"name":"Ada"}]'

folder = tempfile.mkdtemp(prefix="rh-ctl-", dir="/tmp")
at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
ctl = Ctl()


def headers(body=BODY, secret=SECRET, age=0, message="msg_1"):
    timestamp = int(time.time()) - age
    return {"webhook-id": message, "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret, message, timestamp, body)}


def save(fields, body=BODY, start="POST /in HTTP/1.1\r\n", newline="\r\n", length=True):
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Content-Length: {len(body)}"] if length else []
    name = os.path.join(folder, f"request{len(os.listdir(folder))}")
    with open(name, "wb") as file:
        file.write((start + newline.join(lines + ["", ""])).encode() + body)
    return name


def check(name, *options, secret=SECRET, **variables):
    return ctl("verify", name, *options, "--secret", secret, **variables)


# The test vector of Standard Webhooks

vector = save({"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
               "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
              b'{"test": 2432232314}', length=False)
done = check(vector, "--tolerance", "never")
is_((done.status, done.err), (0, ""), "the known vector is valid") or diag(done)
is_(re.findall(r"(?m)^\S+", done.out), ["ok", "ok", "ok"], "each of the three checks passes")
done = check(vector)
is_(done.status, 1, "its timestamp is too old by default")
like(done.out, r"(?m)^FAILED +timestamp too old: \d+ s ago, --tolerance allows 300 s$",
     "the output says so")
like(done.out, r"(?m)^ok +signature", "the signature is reported as valid")

# Valid requests

for what, name in (
        ("as listen saves it", save(headers())),
        ("with LF instead of CRLF", save(headers(), newline="\n", start="POST / HTTP/1.1\n")),
        ("without a start line", save(headers(), start="")),
        ("as curl -i shows it", save(headers(), start="HTTP/1.1 200 OK\r\n")),
        ("with field names in another case", save({k.title(): v for k, v in headers().items()})),
        ("without a body", save(headers(b""), b"")),
        ("with a body that is not text", save(headers(bytes(range(256))), bytes(range(256)))),
        ("without a length", save(headers(), length=False))):
    is_(check(name).status, 0, f"a request {what} is valid")
with open(save(headers()), "ab") as file:
    file.write(b"\n")
is_(check(file.name).status, 0, "a newline that an editor added after the body is ignored")
with open(save(headers()), "rb") as file:
    is_(ctl("verify", "-", "--secret", SECRET, stdin=file.read()).status, 0, "- reads stdin")
is_(ctl("verify", save(headers()), RESTHOOKSCTL_SECRET=SECRET).status, 0,
    "the secret may be in the environment")
is_(check(save(headers()), "--secret", OTHER).status, 0, "one of several secrets is enough")
both = headers()
both["webhook-signature"] = headers(secret=OTHER)["webhook-signature"] + " " + both["webhook-signature"]
is_(check(save(both)).status, 0, "one of several signatures is enough")
is_(check(save(headers(age=3000)), "--tolerance", "1h").status, 0,
    "--tolerance allows a larger age")

# Invalid requests and their errors

tampered = headers()
renamed = {**headers(), "webhook-id": "msg_2"}
later = headers(age=10)
later["webhook-timestamp"] = str(int(later["webhook-timestamp"]) + 10)
without = {k: v for k, v in headers().items() if k != "webhook-signature"}
for what, name, problem, said in (
        ("a changed body", save(tampered, BODY.replace(b"17", b"18")), "signature",
         "none of 1 is of this secret"),
        ("another id", save(renamed), "signature", "bad signature"),
        ("another timestamp", save(later), "signature", "bad signature"),
        ("another secret", save(headers(secret=OTHER)), "signature", "bad signature"),
        ("an unknown kind of signature", save({**headers(), "webhook-signature": "v2,abc"}),
         "signature", "none of version 1"),
        ("an old timestamp", save(headers(age=4000)), "timestamp", "too old: 40"),
        ("a timestamp in the future", save(headers(age=-86400)), "timestamp", "in the future"),
        ("a timestamp that is not a number", save({**headers(), "webhook-timestamp": "now"}), "timestamp",
         "not a number"),
        ("a missing header", save(without), "header", "missing header: webhook-signature"),
        ("no headers of Standard Webhooks", save({"Host": "x"}), "header",
         "missing header: webhook-id, webhook-timestamp, webhook-signature"),
        ("a truncated body", save({**headers(), "Content-Length": "1000"}, length=False),
         "signature", "24 of the 1000 bytes")):
    done = check(name)
    ok(done.status == 1 and "FAILED" in done.out and said in done.out, f"{what}: {said}") or diag(done)
    done = check(name, "--json")
    is_((done.status, done.json["valid"], done.json["problem"]), (1, False, problem),
        f"{what}: as JSON")
done = check(os.path.join(folder, "nothing"))
ok(done.status == 1 and "No such file" in done.err, "a missing file is reported")
done = check(__file__)
ok(done.status == 1 and "is not a saved request" in done.err, "so is a file that is not a request")
for arguments, said in ((["verify", vector], "whose signature"),
                        (["verify", vector, "--secret", "whsec_short"], "whsec_ and the base64"),
                        (["verify", "--secret", SECRET], "needs FILE"),
                        (["listen", "--fail", "99"], "200-599"),
                        (["listen", "--port", "70000"], "0-65535"),
                        (["listen", "--delay", "-1s"], "such as 500ms")):
    done = ctl(*arguments)
    ok(done.status == 2 and said in done.err, f"{' '.join(arguments[:1] + arguments[-2:])}: {said}")
    ok(SECRET not in done.err and "whsec_short" not in done.err, "  without the secret being shown")

# Receiving

listen = Listen("--secret", SECRET, "--delay", "200ms", "--save", os.path.join(folder, "saved"))
first = request("POST", listen.url + "/a?b=c", BODY, headers())
is_(first.status, 200, "a valid request gets 200")
is_(request("POST", listen.url + "/", BODY + b" ", headers()).status, 401, "a wrong one 401")
answer = request("GET", listen.url + "/")
is_((answer.status, answer.headers["Allow"]), (405, "POST"), "only POST is accepted")
with socket.create_connection(("127.0.0.1", listen.port)) as slow:
    slow.sendall(b"POST / HTTP/1.1\r\nContent-Le")
    began = time.monotonic()
    is_(request("POST", listen.url + "/", BODY, headers()).status, 200,
        "a slow client delays no other")
with socket.create_connection(("127.0.0.1", listen.port)) as halves:
    head = "POST /halves HTTP/1.1\r\nExpect: 100-continue\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in {**headers(), "Content-Length": 24}.items())
    halves.sendall(head.encode() + b"\r\n")
    like(halves.recv(100).decode(), r"^HTTP/1\.1 100 ",
         "a client that expects 100-continue gets it")
    halves.sendall(BODY[:5])
    time.sleep(0.1)
    halves.sendall(BODY[5:])
    like(halves.recv(100).decode(), r"^HTTP/1\.1 200 ", "a body may arrive in pieces")


def raw(data):
    """Send bytes; return the response."""
    with socket.create_connection(("127.0.0.1", listen.port)) as sock:
        sock.sendall(data)
        return sock.recv(100).decode().partition("\r\n")[0]


like(raw(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), " 411 ", "chunks are refused")
like(raw(b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"), " 413 ",
     "huge bodies are refused")
like(raw(b"POST / HTTP/1.1\r\nnonsense\r\n\r\n"), " 400 ", "a malformed field is refused")
like(raw(b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 20000), " 431 ", "a head without end is refused")
threads = [threading.Thread(
    target=lambda: request("POST", listen.url + "/many", b"1", headers(b"1"))) for _ in range(100)]
began = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
wait_until(lambda: len(listen.requests) == 104)
is_(len(listen.requests), 104, "a hundred concurrent requests are all received")
is_(listen.stop(), 1, "the exit status says that one was invalid")
got = listen.requests[0]
is_((got["target"], got["body"], got["signature"], got["status"], got["headers"]["webhook-id"]),
    ("/a?b=c", BODY.decode(), "ok", 200, "msg_1"), "each is printed as it arrived")
like(listen.requests[1]["signature"], "^bad signature", "its error is printed")
is_(len(os.listdir(os.path.join(folder, "saved"))), 104, "and saved")
is_(check(listen.requests[0]["file"]).status, 0, "as verify prints it")

plain = Listen("--count", "1")
is_(request("POST", plain.url + "/", BODY).status, 200,
    "without a secret every request is accepted")
is_((plain.wait(), plain.requests[0]["signature"]), (0, None),
    "the output says that nothing was checked")
done = ctl("listen", "--port", "0", "--count", "1", "--timeout", "300ms")
ok(done.status == 1 and "0 of 1 came" in done.err, "--timeout ends waiting")
busy = Listen()
done = ctl("listen", "--port", str(busy.port))
ok(done.status == 1 and "Address already in use" in done.err, "a port in use is reported")
is_(busy.stop(), 0, "it ends at SIGTERM")

text = subprocess.Popen(
    [find_ctl(), "listen", "--port", str(free_port()), "--count", "1"], env=environment(),
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
line = text.stdout.readline().decode()
like(line, r"^listening on http://127\.0\.0\.1:\d+/", "at a terminal it prints where it listens")
request("POST", line.split()[2] + "in", '{"a":"\x9b\\u001b"}'.encode(), {"X-Odd": "\x80"})
out = text.communicate(timeout=60)[0].decode()
like(out, r"(?m)^\S+Z  POST /in  answered 200\n", "it prints what it receives")
ok('\\u009b' in out and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out),
   "without control characters") or diag(repr(out))
done_testing()
