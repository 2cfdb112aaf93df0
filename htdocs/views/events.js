/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The log of events: what happened, and which subscriptions got it. */
import { get, getPage, once } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { badge, cut, number, when } from "../format.js";
import { items, member, readable } from "../json.js";
import { link } from "../link.js";
import { asked, timeFilter } from "../ranges.js";
import { remember } from "../trail.js";
import { empty, loading, notYet } from "../ui.js";
import { heads } from "./rows.js";

const PAGE = 50;
/** A page whose response is longer than this (in characters) is shown without previews of the data. */
const MOST_PREVIEWED = 2000000;
/** Maximum number of an event's deliveries that the API lists. */
export const MOST_SENT = 100;
export const SOURCES = { capture: "captured from a request", publish: "published through the API",
  sql: "published in the database", test: "a test" };

/** The subscriptions that matched, and the outcomes. */
export function matched(one) {
  if (one.observed) {
    return h("span", { class: "chips" }, h("span", { class: "badge is-paused",
      title: "A rule only observes this type: events are recorded, but not sent" },
    h("i", { "aria-hidden": "true" }), "observed only"));
  }
  if (one.deliveries.length === 0) {
    return h("span", { class: "chips" }, badge("none", "no subscription"));
  }
  const counts = new Map();
  for (const state of ["failed", "pending", "delivered", "cancelled"]) {
    const count = one.deliveries.filter((each) => each.state === state).length;
    if (count) {
      counts.set(state, count);
    }
  }
  return h("span", { class: "chips" }, [...counts].map(([state, count]) =>
    badge(state, `${number(count)} ${state}`)),
  one.deliveries.length >= MOST_SENT && h("span", { class: "faint",
    title: `Of its deliveries ${MOST_SENT} are looked at here` }, "…"));
}

function row(one, raw) {
  const preview = raw ? readable(cut(raw, 300)) : "";
  return h("li", { class: "row is-events", data: { id: one.id } },
    h("div", { class: "row-first clip" }, h("a", { class: "row-link", href: `#/events/${one.id}` },
      h("code", null, one.type)), " ",
    one.key !== null && h("span", { class: "key", title: `Key ${one.key}` }, one.key)),
    h("div", { class: "row-wide clip faint" }, h("code", null, preview)),
    h("div", { class: "row-wide" }, matched(one)),
    h("div", { class: "row-source faint", title: SOURCES[one.source] }, one.source),
    h("div", { class: "num row-when" }, when(one.time)));
}

/** How often a rule of a type matched a request but made no event, by reason. */
async function missed(type) {
  const { data } = await get(`event-types/${encodeURIComponent(type)}`);
  const reasons = Object.entries(data.not_captured || {});
  return reasons.length > 0 && h("p", { class: "faint" }, "Requests that fitted a rule of this type "
    + "and made no event: ", reasons.map(([name, count]) => `${name.replaceAll("_", " ")} `
    + number(count)).join(", "), ".");
}

export async function events({ root, query, signal, ask }) {
  const body = h("div", null, loading(8));
  const { before, ...filter } = query;
  const type = select("Event type", [["", "Any event type"],
    ...(query.type ? [[query.type, query.type]] : [])], query.type || "",
  (event) => ask({ ...filter, type: event.target.value }));
  once("event-types").then((all) => all.filter((one) => one.type !== query.type).forEach((one) =>
    type.append(h("option", { value: one.type }, one.type))), () => {});
  const note = h("div");
  if (query.type) {
    missed(query.type).then((text) => fill(note, text), () => {});
  }
  const foot = h("div", { class: "actions centre" });
  const any = Object.keys(filter).length > 0;
  fill(root, h("div", { class: "head" }, h("h1", null, "Events"), h("div", { class: "actions" },
    button("Refresh", () => ask(query), { icon: "replay" }))),
  h("div", { class: "filters" }, type, timeFilter(filter, ask),
    any && button("Clear", () => ask({}), { icon: "cross", class: "quiet small" })), note, body, foot);
  const answer = await getPage("events", { type: query.type, ...asked(query), before, limit: PAGE },
    signal);
  const raws = answer.text.length < MOST_PREVIEWED
    ? items(answer.text).map((text) => member(text, "data")) : [];
  if (answer.data.length) {
    fill(body, h("div", { class: "list" },
      heads("is-events", ["Event", "Data", "Subscriptions", "Source", ["Time"]]),
      h("ul", { "aria-label": "Events" }, answer.data.map((one, i) => row(one, raws[i])))));
  } else if (answer.next) {
    fill(body, notYet("events", answer));
  } else if (any || before) {
    fill(body, empty("No such events", "None is like that.",
      button("Clear the filters", () => ask({}))));
  } else {
    fill(body, empty("No events yet", "What happens in the API is listed here, whether or not "
      + "anybody has subscribed to it. If something happened and is not here, no rule of this "
      + "server captures it."));
  }
  remember("events", link("/events", query));
  fill(foot, before && button("Newest", () => ask(filter), { icon: "back" }),
    answer.next && button(answer.data.length ? "Older" : "Search further", () => {
      ask({ ...filter, before: answer.next });
      window.scrollTo(0, 0);
    }, { icon: "next" }));
}
