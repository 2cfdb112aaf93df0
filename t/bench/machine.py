# Licensed under the Apache License, Version 2.0: see LICENSE.
"""The machine, and the other processes that ran on it while something was measured."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))


def processes():
    """Return pid -> (parent, name, seconds of CPU, including those of children that it has waited
    for)."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split()
        found[int(name)] = (int(fields[1]), text[text.index("(") + 1:text.rindex(")")],
                            sum(int(field) for field in fields[11:15]) / TICKS)
    return found


def written(pid):
    """Return the bytes that a process, and the children that it has waited for, wrote to disk. 0:
    it has ended."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            fields = dict(line.split(": ") for line in file.read().splitlines())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields["write_bytes"])


def device_written(path):
    """Return the bytes that the device of a file's file system has written; None: it has no such
    device."""
    device = os.stat(path).st_dev
    try:
        with open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat",
                  encoding="ascii") as file:
            return int(file.read().split()[6]) * 512
    except OSError:
        return None


def tree(roots, found):
    """Return the pids of some processes and of all below them."""
    children = {}
    for pid, (parent, _, _) in found.items():
        children.setdefault(parent, []).append(pid)
    todo, pids = list(roots), set()
    while todo:
        pid = todo.pop()
        if pid in found and pid not in pids:
            pids.add(pid)
            todo += children.get(pid, [])
    return pids


def busy():
    """Return the seconds of CPU that all processors together spent on anything, and that were
    stolen."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    user, nice, system, _, _, irq, soft, steal = fields[:8]
    return (user + nice + system + irq + soft) / TICKS, steal / TICKS


class Load:
    """Measures how much of the processors others used between its creation and end().

    `roots`: the processes of the benchmark, besides this one, with everything below them. All other
    processes count as others', including the kernel's threads.
    """

    def __init__(self, roots=()):
        self.roots = list(roots) + [os.getpid()]
        self.start = time.monotonic()
        self.busy, self.steal = busy()
        self.ours = self._ours()

    def _ours(self):
        found = processes()
        return sum(found[pid][2] for pid in tree(self.roots, found))

    def end(self):
        """Return the percentage of all processors that other processes used, and that the host
        took."""
        elapsed = (time.monotonic() - self.start) * CORES
        now, steal = busy()
        others = now - self.busy - (self._ours() - self.ours)
        return (round(100 * max(0, others) / elapsed, 1),
                round(100 * (steal - self.steal) / elapsed, 1))


def top(seconds=2, most=6):
    """Return which processes used the processors just now: lines "percent of one core, name"."""
    before = processes()
    time.sleep(seconds)
    after = processes()
    used = {}
    for pid, (_, name, cpu) in after.items():
        spent = cpu - before.get(pid, (0, "", 0.0))[2]
        if pid != os.getpid() and spent > 0:
            used[name] = used.get(name, 0) + spent
    lines = sorted(used.items(), key=lambda item: -item[1])[:most]
    return [f"{100 * cpu / seconds:.0f} % {name}" for name, cpu in lines if cpu / seconds >= 0.03]


def describe():
    """Return the machine's properties, in a few fields."""
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) // 1024
    return {"cores": CORES, "cpu": model, "memory_mb": memory, "kernel": os.uname().release,
            "load_average_before": [round(value, 2) for value in os.getloadavg()]}
