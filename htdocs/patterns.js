/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Event types and the patterns of subscriptions: employee.created, employee.*, *. */
import { h } from "./dom.js";

export function covers(patterns, type) {
  return patterns.some((pattern) => pattern === "*" || pattern === type ||
    (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))));
}

/** Patterns as small labels: a few, and the number of the others. */
export function types(patterns, most = 4) {
  return h("span", { class: "chips" }, patterns.slice(0, most).map((pattern) =>
    h("span", { class: "chip" }, pattern === "*" ? "* all events" : pattern)),
  patterns.length > most && h("span", { class: "faint", title: patterns.slice(most).join(", ") },
    `+${patterns.length - most}`));
}
