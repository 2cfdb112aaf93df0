# Licensed under the Apache License, Version 2.0: see LICENSE.
"""A strict reader of the parts of OpenMetrics 1.0 text that mod_resthooks uses: it raises
ValueError for everything that the specification does not allow."""

import re

SUFFIXES = {"counter": ["_total"], "gauge": [""], "info": ["_info"],
            "histogram": ["_bucket", "_count", "_sum"]}
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[n"\\])*)"'
NUMBER = r"[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|Inf|NaN)"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? ({NUMBER})")
ESCAPED = re.compile(r'(?:[^"\\\n]|\\[n"\\])*')


class Metrics:
    """`families`: name -> (type, unit, help); `samples`: (name, frozenset of labels) -> value."""

    def __init__(self, text):
        self.families, self.samples = {}, {}
        self._name = None
        lines = text.split("\n")
        if lines[-2:] != ["# EOF", ""]:
            raise ValueError("no # EOF at the end")
        for number, line in enumerate(lines[:-2], 1):
            try:
                if line.startswith("# "):
                    self._comment(line)
                else:
                    self._sample(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}: {line}") from None
        for name, (kind, unit, _) in self.families.items():
            if kind == "histogram":
                self._check_histogram(name)
            if unit and not name.endswith("_" + unit):
                raise ValueError(f"{name} does not end with its unit")
        names = sorted(self.families)
        for name in names:
            clash = [name + s for s in ("_total", "_created", "_count", "_sum", "_bucket", "_info")
                     if name + s in self.families]
            if clash:
                raise ValueError(f"{name} clashes with {clash}")

    def _comment(self, line):
        _, what, name, rest = line.split(" ", 3)
        if what not in ("HELP", "TYPE", "UNIT") or not re.fullmatch(NAME, name):
            raise ValueError("no HELP, TYPE or UNIT")
        if name != self._name:
            if name in self.families:
                raise ValueError("a family in two parts")
            self._name = name
            self.families[name] = (None, None, None)
        kind, unit, text = self.families[name]
        if any(key[0].startswith(name + s) and key[0] == name + s for key in self.samples
               for s in SUFFIXES.get(kind, [])):
            raise ValueError("behind a sample")
        if what == "HELP":
            if text is not None or not ESCAPED.fullmatch(rest):
                raise ValueError("HELP twice, or not escaped")
            text = rest
        elif what == "TYPE":
            if kind is not None or rest not in SUFFIXES:
                raise ValueError("TYPE twice, or unknown")
            kind = rest
        else:
            if unit is not None or not re.fullmatch(NAME, rest):
                raise ValueError("UNIT twice, or no unit")
            unit = rest
        self.families[name] = (kind, unit, text)

    def _sample(self, line):
        found = SAMPLE.fullmatch(line)
        if not found or self._name is None:
            raise ValueError("no sample")
        name, labels, value = found[1], found[2] or "", found[found.lastindex]
        kind = self.families[self._name][0]
        if kind is None or name not in [self._name + s for s in SUFFIXES[kind]]:
            raise ValueError("not of this family")
        pairs = [(n, re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), v))
                 for n, v in re.findall(LABEL, labels)]
        if len({n for n, _ in pairs}) != len(pairs):
            raise ValueError("a label twice")
        key = (name, frozenset(pairs))
        if key in self.samples:
            raise ValueError("a sample twice")
        self.samples[key] = float(value)
        if (kind in ("counter", "histogram") and self.samples[key] < 0) or (
                kind == "info" and self.samples[key] != 1):
            raise ValueError("no value of its kind")

    def _check_histogram(self, name):
        series = {}
        for (sample, labels), value in self.samples.items():
            if sample == name + "_bucket":
                bound = dict(labels)["le"]
                if bound != "+Inf" and repr(float(bound)) != bound:
                    raise ValueError(f"{name}: {bound} is not in its canonical form")
                rest = frozenset(pair for pair in labels if pair[0] != "le")
                series.setdefault(rest, []).append((float(bound), value))
        for labels, buckets in series.items():
            if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(
                    v for _, v in buckets) or buckets[-1][0] != float("inf"):
                raise ValueError(f"{name}: buckets out of order")
            if self.samples[(name + "_count", labels)] != buckets[-1][1]:
                raise ValueError(f"{name}: the count is not the last bucket")
            if (name + "_sum", labels) not in self.samples:
                raise ValueError(f"{name}: no sum")

    def get(self, name, **labels):
        """A sample's value; None: there is no such sample."""
        return self.samples.get((name, frozenset(labels.items())))

    def sum(self, name, **labels):
        """The sum of all samples of a name that have these labels."""
        return sum(value for (sample, pairs), value in self.samples.items()
                   if sample == name and set(labels.items()) <= pairs)
