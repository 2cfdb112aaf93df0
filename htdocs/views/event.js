/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One event: its data, the subscriptions that got it, and why others did not. */
import { get, subscriptions } from "../api.js";
import { fill, h } from "../dom.js";
import { badge, called, cut, moment, number, plural, when } from "../format.js";
import { differences, member, pretty } from "../json.js";
import { link } from "../link.js";
import { covers, types } from "../patterns.js";
import { back } from "../trail.js";
import { copyable, fact, loading, payload, verdict } from "../ui.js";
import { MOST_SENT, SOURCES, matched } from "./events.js";
import { deliveryList } from "./rows.js";

const MOST = 50;
const MINUTE = 60000;
/** Maximum numbers of a change's members, and of a value's characters, that are shown. */
const MOST_CHANGED = 100;
const VALUE_SHOWN = 1000;

/** True if these are all of its deliveries. */
const all = (event) => event.deliveries.length < MOST_SENT;

/** Explain why a subscription that covers the type was not sent the event. */
function reason(one, event) {
  if (Date.parse(one.created_at) > Date.parse(event.time)) {
    return ["It was made later, ", when(one.created_at), ". A replay sends it what was before."];
  }
  if (one.state !== "active") {
    return [`It is ${one.state}. Revive it, then replay the time.`];
  }
  return ["It was not active, or had not chosen this type, when this happened. A replay sends it."];
}

/** The subscriptions that were not sent it. */
function others(event, subscribed) {
  const sent = new Set(event.deliveries.map((one) => one.subscription_id));
  const rest = subscribed.filter((one) => !sent.has(one.id));
  const near = rest.filter((one) => covers(one.events, event.type));
  const far = rest.length - near.length;
  if (!rest.length) {
    return null;
  }
  return h("section", { class: "panel" }, h("div", { class: "section-head" },
    h("h2", null, "Not sent to")),
  h("ul", { class: "stack" }, near.slice(0, MOST).map((one) => h("li", { class: "long" },
    h("a", { href: `#/subscriptions/${one.id}` }, called(one)), " ", badge(one.state),
    h("p", { class: "faint" }, reason(one, event)))),
  far > 0 && h("li", null, h("details", { open: near.length === 0 && far <= 10 }, h("summary", null,
    `${plural(far, "subscription")} without this type`), h("ul", { class: "stack" },
    rest.filter((one) => !near.includes(one)).slice(0, MOST).map((one) => h("li", { class: "long" },
      h("a", { href: `#/subscriptions/${one.id}` }, called(one)), types(one.events))))))));
}

/** Link to the list of deliveries of an event. */
const around = ({ type, time }) => ({ event: type, from: new Date(Date.parse(time) - MINUTE)
  .toISOString(), to: new Date(Date.parse(time) + MINUTE).toISOString() });

function judge(one) {
  if (one.observed) {
    return verdict("off", "Observed only", h("p", null, "A rule of this server only tries this "
      + "type out: the event is recorded and counted, but not sent."));
  }
  if (one.deliveries.length === 0) {
    return verdict("warn", "No subscription matched", h("p", null, "No subscription asked for ",
      h("code", null, one.type), " when it happened, so nothing was sent. A new subscription "
      + "can have it replayed."));
  }
  const failed = one.deliveries.filter(({ state }) => state === "failed").length;
  return failed > 0 && verdict("bad", `${number(failed)} of ${all(one) ? "" : "these "}${plural(
    one.deliveries.length, "delivery")} failed`,
  h("p", null, "Open a delivery to see why, and to send it again."));
}

/** One side of a changed member. */
const side = (text) => text === null ? h("span", { class: "faint" }, "none")
  : h("code", null, cut(pretty(text), VALUE_SHOWN));

/** What changed in an event that has previous data, side by side. */
function changes(text) {
  const patch = member(text, "previous");
  const now = member(text, "data");
  if (!patch || patch === "null" || !now) {
    return null;
  }
  const found = differences(patch, now);
  return h("section", { class: "panel" }, h("div", { class: "section-head" },
    h("h2", null, "What changed")),
  found.length > 0 && h("div", { class: "changes" }, h("table", null,
    h("thead", null, h("tr", null, ["Member", "Before", "Now"].map((name) =>
      h("th", { scope: "col" }, name)))),
    h("tbody", null, found.slice(0, MOST_CHANGED).map(([name, old, current]) => h("tr", null,
      h("th", { scope: "row" }, h("code", null, name)), h("td", null, side(old)),
      h("td", null, side(current))))))),
  found.length > MOST_CHANGED && h("p", { class: "faint" },
    `${number(found.length - MOST_CHANGED)} more`));
}

export async function event({ root, id, signal, title }) {
  fill(root, loading(6));
  const [{ data: one, text }, subscribed] = await Promise.all([get(`events/${id}`, {}, signal),
    subscriptions().catch(() => [])]);
  const names = new Map(subscribed.map((each) => [each.id, each]));
  title(one.type);
  fill(root, h("div", { class: "head" }, h("div", { class: "head-title" },
    h("a", { class: "back", href: back("events") }, "Events"),
    h("div", { class: "head-line" }, h("h1", null, h("code", null, one.type)), matched(one)),
    h("p", { class: "faint" }, SOURCES[one.source] || one.source, " · ", when(one.time)))),
  judge(one),
  one.deliveries.length > 0 && h("section", null, h("div", { class: "section-head" },
    h("h2", null, all(one) ? `Sent to ${plural(one.deliveries.length, "subscription")}`
      : `${MOST_SENT} of its deliveries`), !all(one) && h("a", { href: link("/deliveries",
      around(one)) }, "All deliveries of that time")),
  deliveryList(one.deliveries, names, "event")),
  h("div", { class: "beside wide" }, h("div", { class: "stack" }, changes(text),
    h("section", { class: "panel" }, h("div", { class: "section-head" }, h("h2", null, "Data")),
      payload(member(text, "data") || "", "Data"))),
  h("div", { class: "stack" }, h("section", { class: "panel" }, h("dl", { class: "facts is-side" },
    fact("Id (webhook-id)", copyable(one.id, "the event's id")), fact("Time", moment(one.time)),
    fact("Key", one.key ?? "none"), one.reason && fact("Note", one.reason), fact("Source", SOURCES[one.source] || one.source),
    one.traceparent && fact("Trace", copyable(one.traceparent, "the trace")))),
  one.source !== "test" && !one.observed && all(one) && others(one, subscribed))));
}
