# Licensed under the Apache License, Version 2.0: see LICENSE.
"""TAP: one line per check, a plan at the end."""

import faulthandler
import os
import re
import signal
import sys

_count = 0
_failures = 0
_at_end = []


def ok(condition, name):
    """Check a condition, whose name is a sentence about behaviour, and return it."""
    global _count, _failures
    _count += 1
    if not condition:
        _failures += 1
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}", flush=True)
    return bool(condition)


def diag(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def is_(got, expected, name):
    if not ok(got == expected, name):
        diag(f"     got: {got!r}"[:4000])
        diag(f"expected: {expected!r}"[:4000])
    return got == expected


def like(text, pattern, name):
    found = re.search(pattern, text or "") is not None
    if not ok(found, name):
        diag(f"     got: {text!r}"[:4000])
        diag(f"matching: {pattern!r}")
    return found


def skip(name, reason):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {reason}", flush=True)


def skip_all(reason):
    """End a test file that cannot test anything here."""
    print(f"1..0 # SKIP {reason}", flush=True)
    os._exit(0)


def at_end(function):
    """Register a function without arguments to be called before the plan is printed, in reverse
    order."""
    _at_end.append(function)


def done_testing():
    """End a test file: call the registered functions and print the plan."""
    while _at_end:
        _at_end.pop()()
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failures else 0)


def _terminate(number, frame):
    sys.exit(f"signal {number}")


def watch(seconds):
    """If a test hangs, print where, and end it."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(int(seconds))


def _alarm(number, frame):
    print("# this test takes too long; it was here:", flush=True)
    faulthandler.dump_traceback(file=sys.stdout)
    sys.exit("time is up")
