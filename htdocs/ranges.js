/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Periods as addresses contain them: 1h, 24h … until now, or from and to. */
import { h, select } from "./dom.js";
import { local, utc, zone } from "./format.js";

const HOUR = 3600;
/** Name: title, length in seconds, length of a chart's bucket in seconds. */
export const RANGES = {
  "1h": ["1 hour", HOUR, 60], "24h": ["24 hours", 24 * HOUR, 15 * 60],
  "7d": ["7 days", 168 * HOUR, 2 * HOUR], "30d": ["30 days", 720 * HOUR, 6 * HOUR],
};

/** Parameters for the API: {from, to} of a query that has range, or from and to. */
export function asked(query) {
  if (query.range in RANGES) {
    return { from: new Date(Date.now() - RANGES[query.range][1] * 1000).toISOString() };
  }
  return { from: query.from, to: query.to };
}

/** From and to of a chart, on whole buckets of local time. */
export function bucketed(name) {
  const [, seconds, step] = RANGES[name];
  const ahead = -new Date().getTimezoneOffset() * 60;
  const to = Math.ceil((Date.now() / 1000 + ahead) / step) * step - ahead;
  return { from: new Date((to - seconds) * 1000).toISOString(),
    to: new Date(to * 1000).toISOString(), step };
}

/** The filter by time: some periods until now, or two times. */
export function timeFilter(query, ask) {
  const exact = query.from !== undefined || query.to !== undefined;
  const { range, from, to, ...rest } = query;
  const choice = select("Time", [["", "Any time"],
    ...Object.entries(RANGES).map(([name, [text]]) => [name, `Last ${text}`]), ["exact", "From … to …"]],
  exact ? "exact" : range || "", (event) => {
    const { value } = event.target;
    ask(value === "exact" ? { ...rest, from: asked(query).from
      || new Date(Date.now() - 24 * HOUR * 1000).toISOString() } : { ...rest, range: value });
  });
  const moment = (name, text, value) => h("label", { class: "inline" }, text,
    h("input", { type: "datetime-local", value: local(value), "aria-label": text, on: {
      change: (event) => ask({ ...rest, from, to, [name]: utc(event.target.value) }) } }));
  return [choice, exact && moment("from", "From", from), exact && moment("to", "To", to),
    exact && h("span", { class: "inline" }, zone())];
}
