# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Runs resthooksctl as a user would."""

import json
import os
import subprocess
import threading

from httpd import find_module
from tap import at_end


def find_ctl():
    """Return the program under test: $RH_CTL, else the one built with the module."""
    return os.environ.get("RH_CTL") or os.path.join(
        os.path.dirname(os.path.dirname(find_module())), "resthooksctl")


def environment(**more):
    """Return the environment without the user's own settings. In a sanitized build, leaks are
    errors."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("RESTHOOKSCTL_")}
    return {**kept, "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1", **more}


class Done:
    """The result of a run: exit status, output, errors, and the output as JSON (None: it is not).
    """

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        try:
            self.json = json.loads(self.out)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"<exit {self.status}>\n{self.out}{self.err}"


class Ctl:
    """Runs the program with some options after each command, and with variables in its environment.
    """

    def __init__(self, *options, **variables):
        self.options = options
        self.variables = variables

    def __call__(self, *arguments, stdin=b"", timeout=120, options=None, **variables):
        done = subprocess.run(
            [find_ctl(), *arguments, *(self.options if options is None else options)],
            input=stdin, capture_output=True, check=False, timeout=timeout,
            env=environment(**{**self.variables, **variables}))
        return Done(done)


class Listen:
    """A running `resthooksctl listen` with --json: `url`, and in the end `requests` and `status`."""

    def __init__(self, *options, port=0, **variables):
        self.process = subprocess.Popen(
            [find_ctl(), "listen", "--json", "--port", str(port), *options],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(**variables))
        at_end(self.stop)
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError("listen does not start")
        self.url = json.loads(first)["url"].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])
        self.requests = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.requests.append(json.loads(line))

    def wait(self, timeout=60):
        """Wait until it ends by itself; return its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(10)
        return status

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()
