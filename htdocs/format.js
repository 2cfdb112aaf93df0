/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Times, numbers, states and responses in words. */
import { h } from "./dom.js";

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const FULL = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit",
  second: "2-digit", hourCycle: "h23" });

/** A duration in seconds, in the largest suitable unit: 4 min. */
export function span(seconds) {
  const [size, unit] = UNITS.find(([length]) => seconds >= length) || UNITS[3];
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function ago(text) {
  const seconds = Math.round((Date.parse(text) - Date.now()) / 1000);
  if (Math.abs(seconds) < 2) {
    return "now";
  }
  return seconds < 0 ? `${span(-seconds)} ago` : `in ${span(seconds)}`;
}

/** A time: how long ago it was, with the full time on hover. Kept up to date by refresh. */
export function when(text) {
  return text ? h("time", { datetime: text, title: FULL.format(new Date(text)),
    data: { ago: "" } }, ago(text)) : h("span", { class: "faint" }, "–");
}

/** Update all texts that say how long ago something was. */
export function refresh() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const text = ago(element.dateTime);
    if (element.textContent !== text) {
      element.textContent = text;
    }
  }
}

/** A moment to the second, with its zone. */
export function moment(text) {
  return h("time", { datetime: text, title: text }, FULL.format(new Date(text)));
}

/** The same without its year. */
export function shortly(text) {
  return h("time", { datetime: text, title: text }, SHORT.format(new Date(text)));
}

/** The name of the time zone of all times on the page, at that time: UTC, CET, GMT+1. */
export const zone = (time = Date.now()) => FULL.formatToParts(time)
  .find(({ type }) => type === "timeZoneName").value;

/** The same as a text, for a table. */
export const full = (text) => FULL.format(new Date(text));

export function clock(text) {
  return CLOCK.format(new Date(text));
}

/** Convert the value of an <input type=datetime-local> to RFC 3339 in UTC; "" for nothing. */
export function utc(local) {
  const time = local ? new Date(local) : null;
  return time && !Number.isNaN(time.getTime()) ? time.toISOString() : "";
}

/** The inverse conversion, to the minute. */
export function local(text) {
  const time = new Date(text || NaN);
  return Number.isNaN(time.getTime()) ? ""
    : new Date(time.getTime() - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export function duration(ms) {
  if (ms === null || ms === undefined) {
    return "–";
  }
  return ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(ms < 10000 ? 2 : 1))} s`;
}

const NUMBER = new Intl.NumberFormat("en");
export const number = (value) => NUMBER.format(value);

/** 1 attempt, 2 attempts; 1 delivery, 2 deliveries. */
export function plural(count, word) {
  const many = word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
  return `${number(count)} ${count === 1 ? word : many}`;
}

/** The share of ended deliveries that were delivered; "–" if none has ended. */
export function share(delivered, failed) {
  const ended = delivered + failed;
  if (!ended) {
    return "–";
  }
  const percent = (delivered / ended) * 100;
  return `${failed && percent > 99.9 ? "99.9" : percent.toFixed(failed ? 1 : 0)} %`;
}

/** Bytes of a text in UTF-8, for a person. */
export function size(text) {
  const bytes = new TextEncoder().encode(text).length;
  return bytes < 1024 ? plural(bytes, "byte") : `${(bytes / 1024).toFixed(1)} KiB`;
}

/** A state as a badge with shape and word, so it does not depend on colour. */
export function badge(state, text) {
  return h("span", { class: `badge is-${state}` }, h("i", { "aria-hidden": "true" }),
    text || state);
}

/** A status code; null: no response. */
export function code(status, attempts = 1) {
  if (status === null || status === undefined) {
    return attempts > 0 ? h("span", { class: "code is-none", title: "No answer came" }, "none")
      : h("span", { class: "faint" }, "–");
  }
  return h("span", { class: `code is-${Math.floor(status / 100)}xx` }, String(status));
}

/** The name of a subscription: its description, or its target. */
export function called(one) {
  return one.description || one.target_url.replace(/^https?:\/\//, "");
}

/** Cut a text to at most `max` characters. */
export function cut(text, max) {
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}
