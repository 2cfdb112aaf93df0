/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Times, numbers, states and answers in words. */
import { h } from "./dom.js";

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit",
  second: "2-digit", hourCycle: "h23" });

export function ago(text) {
  const seconds = Math.round((Date.parse(text) - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) || UNITS[3];
  return seconds === 0 ? "just now" : RELATIVE.format(Math.trunc(seconds / size), unit);
}

/** A moment: how long ago it was, with the whole time on hover. */
export function when(text) {
  return text ? h("time", { datetime: text, title: FULL.format(new Date(text)) }, ago(text))
    : h("span", { class: "faint" }, "–");
}

/** A moment to the second. */
export function moment(text) {
  return h("time", { datetime: text, title: text }, FULL.format(new Date(text)));
}

export function clock(text) {
  return CLOCK.format(new Date(text));
}

/** What an <input type=datetime-local> holds, as RFC 3339 in UTC; "" for nothing. */
export function utc(local) {
  const time = local ? new Date(local) : null;
  return time && !Number.isNaN(time.getTime()) ? time.toISOString() : "";
}

/** The other way round, to the minute. */
export function local(text) {
  if (!text) {
    return "";
  }
  const time = new Date(text);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export function duration(ms) {
  return ms === null || ms === undefined ? "–" : ms < 1000 ? `${ms} ms`
    : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

const NUMBER = new Intl.NumberFormat("en");
export const number = (value) => NUMBER.format(value);
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/** A state as a badge: shape and word, so colour is not all there is. */
export function badge(state) {
  return h("span", { class: `badge is-${state}` }, h("i", { "aria-hidden": "true" }), state);
}

/** A status code; null: no answer came. */
export function code(status, attempts = 1) {
  if (status === null || status === undefined) {
    return attempts > 0 ? h("span", { class: "code is-none", title: "No answer came" }, "none")
      : h("span", { class: "faint" }, "–");
  }
  return h("span", { class: `code is-${Math.floor(status / 100)}xx` }, String(status));
}

const STATUS = {
  400: "The target understood the request as wrong. Does it expect another format? The subscription's format and the payload are below.",
  401: "The target wants credentials. Add the header that it expects to the subscription, or let it check the signature instead.",
  403: "The target forbids it. A firewall or a login may be in front of it; a header with a token can be added to the subscription.",
  404: "There is nothing at the target's path. Check the URL for typing errors and a missing slash.",
  405: "The target's path takes no POST. Check the URL.",
  408: "The target gave up waiting for the request.",
  409: "The target said that it is gone, which ends a subscription.",
  410: "The target said that it is gone, which ends a subscription. Revive it once the target is back.",
  413: "The payload is too large for the target.",
  415: "The target does not take this content type. The formats envelope and cloudevents send others.",
  429: "The target asks for fewer requests. Set a rate limit for the subscription.",
  500: "The target failed while it worked on the request. Its own log says why.",
  502: "A proxy in front of the target could not reach it.",
  503: "The target is overloaded or down.",
  504: "A proxy in front of the target waited too long for it.",
};
const ERRORS = [
  [/not allowed|refused address|policy/i, "The target's address is not one that the administrator allows (RestHooksTargetAllow)."],
  [/tim(e|ed)[ -]?(out|is up)|deadline/i, "The target did not answer in time. Let it answer at once and work afterwards."],
  [/resolv|no address|name|dns/i, "The host's name was not found. Check the URL, and the name's DNS records."],
  [/certificate|tls|ssl/i, "The encrypted connection failed. Is the target's certificate valid, complete and for this name?"],
  [/refused/i, "Nobody listens at the target's port. Is the service running, and the port right?"],
  [/reset|closed|unexpected end/i, "The target broke the connection off before it had answered."],
  [/protocol|malformed|header|chunk|invalid/i, "What came back is not a valid HTTP answer."],
  [/unreach|route/i, "There is no way through the network to the target."],
];

/** In a sentence why an attempt failed and what to do; null for one that did not. */
export function explain(attempt) {
  const status = attempt.status_code;
  if (status >= 200 && status < 300) {
    return null;
  }
  if (status >= 300 && status < 400) {
    return "The target redirects, which is not followed. Subscribe with the address that it points to.";
  }
  if (status) {
    return STATUS[status] || (status < 500 ? "The target refused the request; its answer below may say why."
      : "The target failed; its own log says why.");
  }
  const found = ERRORS.find(([pattern]) => pattern.test(attempt.error || ""));
  return found ? found[1] : "The target could not be reached.";
}

export const REASONS = {
  paused: "Paused: events are kept in the log, but not sent. Once it is revived they can be replayed.",
  gone: "The target answered that it is gone, so nothing is sent any more.",
  disabled: "Every attempt has failed for so long that nothing is sent any more.",
  pending: "Waits until the target confirms that it wants these events.",
};
