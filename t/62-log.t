#!/usr/bin/env python3
# Licensed under the Apache License, Version 2.0: see LICENSE.
"""RestHooksLog: one line per attempt, to a file or a program."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from rhtest import *  # noqa: E402,F403
from openmetrics import Metrics  # noqa: E402

TYPES = """
    RestHooksEventType a.made "one"
    RestHooksEventType b.made "another"
"""
receiver = Receiver()
plain = Vhost(rules="", extra=TYPES, name="plain")
own = Vhost(rules="", name="own",
            extra=TYPES + 'RestHooksLog logs/own_log "%y|%n|%c|%o|%b|%k|%s|\\"%x\\"|%p"')
piped = Vhost(rules="", name="piped", extra=TYPES)
silent = Vhost(rules="", extra=TYPES + "RestHooksLog none", name="silent")
# httpd reports the program that it ended at a graceful restart, for every piped log.
httpd = Httpd("RestHooksLog logs/hooks_log", vhosts=[plain, own, piped, silent],
              expect=[r"long lost child came home"])
piped.extra += f"RestHooksLog \"|$/bin/cat >> {httpd.path('logs', 'piped_log')}\" \"%T %d %m %o\""
httpd.stop()
httpd.write_config()
httpd.start()


def lines(name):
    """Return the complete lines."""
    try:
        with open(httpd.path("logs", name), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return []
    return text.split("\n")[:-1]


def wait_lines(name, count):
    wait_until(lambda: len(lines(name)) >= count)
    return lines(name)


def publish(host, kind="a.made", tenant="acme", **fields):
    answer = host.api(tenant, role="app").post("/events", {"type": kind, "data": {"n": 1},
                                                            **fields})
    if answer.status != 202:
        raise RuntimeError(f"not published: {answer}")
    return answer.json["id"]


# The default format
api = plain.api()
good = api.subscribe(receiver.url + "/ok", ["a.made"])
event = publish(plain)
line = wait_lines("hooks_log", 1)[0]
delivery = wait_until(lambda: [d for d in api.deliveries(good["id"])
                               if d["state"] == "delivered"])[0]
found = re.fullmatch(r'(\S+) (\S+) (\S+) (\S+) (\S+) (\S+) (\S+) 1 200 (\d+) (\d+) delivered "-"',
                     line)
ok(found, f"a line for the attempt: {line}")
is_(found.groups()[1:7] if found else None,
    (f"localhost:{plain.port}", "acme", "a.made", event, delivery["id"], good["id"]),
    "it has host, tenant, type and ids")
attempt = api.get("/deliveries/" + delivery["id"]).json["attempts"][0]
is_((found[1], int(found[8]), int(found[9])),
    (attempt["time"], attempt["ms"], len(receiver.received("/ok")[0].body)),
    "time and milliseconds are the database's, bytes those of the body")

# A custom format, and failing attempts
mine = own.api()
failing = mine.subscribe(receiver.url + "/sequence/500,302,200", ["a.made"])
gone = mine.subscribe(f"http://127.0.0.1:{free_port()}/", ["b.made"])
publish(own, key="k 1")
publish(own, "b.made")
rows = [row.split("|") for row in wait_lines("own_log", 3 + 4)]
of = {s["id"]: [row for row in rows if row[6] == s["id"]] for s in (failing, gone)}
is_([row[:6] + row[7:8] for row in of[failing["id"]]],
    [["a.made", str(n), str(code), outcome, "10", "k\\x201", '"-"']
     for n, code, outcome in ((1, 500, "retry"), (2, 302, "retry"), (3, 200, "delivered"))],
    "each attempt has its line, in the virtual host's own format")
is_([row[1:5] for row in of[gone["id"]]],
    [[str(n), "-", outcome, "0"] for n, outcome in
     ((1, "retry"), (2, "retry"), (3, "retry"), (4, "failed"))],
    "without a response there is no status, and nothing was sent")
ok(all("refused" in row[7] for row in of[gone["id"]]), "there is an error")
ok(all(int(row[8]) in httpd.children() for rows in of.values() for row in rows),
   "the process is a child")

# Data can't forge a line.
strange = 'x\u2028 200 "y" \\ z'
other = plain.api(strange.encode().decode("latin-1"))
other.subscribe(receiver.url + "/strange", ["a.made"])
answer = other.call("POST", "/events", {"type": "a.made", "data": 1}, {"X-Role": "app"})
is_(answer.status, 202, "a tenant may have a strange name")
line = wait_lines("hooks_log", 2)[-1]
is_(line.split(" ")[2], 'x\\xe2\\x80\\xa8\\x20200\\x20\\"y\\"\\x20\\\\\\x20z',
    "it stays one field of the line")
is_(len(line.split(" ")), len(lines("hooks_log")[0].split(" ")),
    "the line has as many fields as others")

# A program
third = piped.api()
third.subscribe(receiver.url + "/piped", ["*"])
for _ in range(20):
    publish(piped)
got = wait_lines("piped_log", 20)
is_(len({row.split(" ")[1] for row in got}), 20, "a program gets the lines")
ok(all(re.fullmatch(r"acme \S{36} \d+ delivered", row) for row in got), "they have its format")

# Off
silent.api().subscribe(receiver.url + "/silent", ["*"])
publish(silent)
receiver.wait_for(1, "/silent")
wait_until(lambda: silent.api().get("/deliveries").json[0]["state"] == "delivered")
is_([len(lines("hooks_log")), [row for row in lines("hooks_log") if str(silent.port) in row]],
    [2, []], "a virtual host turns the server's log off")

# Rotation
os.rename(httpd.path("logs", "hooks_log"), httpd.path("logs", "hooks_log.1"))
publish(plain)
is_(len(wait_lines("hooks_log.1", 3)), 3, "a renamed file gets lines until the restart")
ok(httpd.graceful(), "httpd restarts gracefully")
publish(plain)
is_(len(wait_lines("hooks_log", 1)), 1, "there is a new file")
is_(len(lines("hooks_log.1")), 3, "the old file gets no more lines")
publish(piped)
is_(len(wait_lines("piped_log", 21)), 21, "the program was started again")

# Many at the same time: lines are complete, one per attempt.
before = len(receiver.received("/ok"))
answer = plain.api(role="app").post("/events", [{"type": "a.made", "data": {"n": n}}
                                                for n in range(800)])
is_(answer.status, 202, "many events are published at once")
receiver.wait_for(before + 800, "/ok")
rows = wait_lines("hooks_log", 801)
ok(len(rows) == 801 and all(re.fullmatch(r'\S+Z localhost:\d+ acme .* delivered "-"', row)
                            for row in rows), "every line is complete")
is_(len({row.split(" ")[5] for row in rows}), 801, "each is of another delivery")

# A program that reads nothing delays no delivery.
stuck = Vhost(rules="", name="stuck", extra=TYPES + 'RestHooksLog "|/bin/sleep 1000" '
              '"%u %u %u %u %u %u %u %u %d"')
deaf = Httpd(vhosts=[stuck], expect=[r"RH0811: RestHooksLog: cannot write to \|/bin/sleep 1000;"])
stuck.api().subscribe(receiver.url + "/deaf/" + "x" * 1000, ["*"])
answer = stuck.api(role="app").post("/events", [{"type": "a.made", "data": {"n": n}}
                                                for n in range(300)])
is_(len(receiver.wait_for(300, "/deaf/" + "x" * 1000)), 300, "deliveries continue")
ok(deaf.wait_log("RH0811"), "lost lines are reported")


def lost():
    return Metrics(request("GET", stuck.url + "/hooks/metrics").text).sum(
        "resthooks_log_lines_lost_total")


ok(wait_until(lambda: lost() > 0), "and counted")
deaf.finish()

# Invalid formats
trial = Httpd(start=False)
for directive, reason in (
        ('RestHooksLog logs/x "%t %q"', "%q is none of"),
        ('RestHooksLog logs/x "%t %"', "ends within a % letter"),
        ('RestHooksLog logs/x "%t \\"%x"', "ends within quotes"),
        ('RestHooksLog logs/x "%t\\\\n"', "neither"),
        ('RestHooksLog "|"', "not a valid path or program"),
        ('RestHooksLog none "%t"', "none takes no format"),
        ("RestHooksLog", "needs 1 to 2 arguments"),
        ("RestHooksLog a b c", "needs 1 to 2 arguments"),
        ('<Location "/x">\nRestHooksLog logs/x\n</Location>', "not allowed")):
    trial.vhosts[0].extra = directive
    trial.write_config()
    taken, text = trial.check_config()
    ok(not taken and "RestHooksLog" in text and reason in text,
       f"{directive.splitlines()[-1 if directive[0] != '<' else 1]}: refused: {reason}") or diag(text)
trial.vhosts[0].extra = 'RestHooksLog nowhere/at/all "%t"'
trial.write_config()
is_(trial.check_config()[0], True, "httpd -t opens no log")
trial.start(wait=False)
ok(trial.wait_end() != 0 and "RH0810" in trial.log() + trial._stdout(),
   "a file that can't be opened keeps httpd from starting")
trial.expect(r"RH0810: ", r"AH00019", r"AH0001[56]", r"AH00014")
done_testing()
