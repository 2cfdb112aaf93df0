# Licensed under the Apache License, Version 2.0: see LICENSE.
"""Checkers under which httpd runs, slowly, in a test. Each has an environment variable.

RH_LIBASAN   ASan's library, for a module that was built with it and UBSan; the library of
             heap_pools.c may follow after a colon
RH_LIBTSAN   TSan's library, likewise, which finds data races
RH_MEMCHECK  httpd runs in valgrind's memcheck, with this library (heap_pools.c)
"""

import glob
import os
import re
import shutil

RACES = bool(os.environ.get("RH_LIBTSAN"))
MEMCHECK = bool(os.environ.get("RH_MEMCHECK"))
SANITIZED = bool(os.environ.get("RH_LIBASAN")) or RACES or MEMCHECK

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "memcheck.supp")
# httpd's user may write to this directory below a ServerRoot.
FOLDER = "reports"


def command(root):
    """Return the words before httpd on its command line."""
    if not MEMCHECK:
        return []
    # Quiet, so that the file of a process stays empty unless there is a report.
    return [shutil.which("valgrind") or "valgrind", "--quiet", "--leak-check=full",
            "--show-leak-kinds=definite", "--num-callers=40", "--keep-debuginfo=yes",
            "--fair-sched=try", "--gen-suppressions=all", "--suppressions=" + SUPPRESSIONS,
            "--log-file=" + os.path.join(root, FOLDER, "memcheck.%p")]


def environment(root):
    """Return variables for httpd's environment."""
    if RACES:
        return {"LD_PRELOAD": os.environ["RH_LIBTSAN"],
                "TSAN_OPTIONS": "history_size=4:second_deadlock_stack=1:exitcode=0:log_path=" +
                                os.path.join(root, FOLDER, "races")}
    if MEMCHECK:
        return {"LD_PRELOAD": os.environ["RH_MEMCHECK"]}
    if SANITIZED:
        return {"LD_PRELOAD": os.environ["RH_LIBASAN"],
                "ASAN_OPTIONS": "detect_leaks=0:alloc_dealloc_mismatch=0:handle_abort=1:"
                                "detect_odr_violation=0:detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {}


def concerns_module(report):
    """Return whether a report of TSan is about the module, which then is in the stack of one of the
    accesses."""
    if "data race" in report:
        stacks = re.split(r"\n\s*\n", report)
        report = "\n".join(stack for stack in stacks if re.search(
            r"^ +(Previous )?(atomic )?(write|read) of size", stack, re.I | re.M))
    return "mod_resthooks" in report


def reports(root):
    """Return the lines that processes which ended by themselves have left. The memory sanitizers
    write to the error log instead."""
    said = []
    for path in sorted(glob.glob(os.path.join(root, FOLDER, "*"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if RACES:
            text = "".join(report for report in text.split("=" * 18 + "\n")
                           if "WARNING: ThreadSanitizer" in report and concerns_module(report))
        said += text.splitlines()
    return said
