/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The log of events: what happened, and whom it concerned. */
import { get, once } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { local, moment, plural, utc, when } from "../format.js";
import { member } from "../json.js";
import { empty, fact, loading, payload } from "../ui.js";
import { rows } from "./deliveries.js";

const PAGE = 50;
const SOURCES = { capture: "captured from a request", publish: "published", api: "published",
  sql: "published in the database", test: "a test", module: "published by another module" };

/** Which subscriptions matched, and what came of it. */
function matched(one) {
  if (one.observed) {
    return h("span", { class: "badge is-paused" }, h("i", { "aria-hidden": "true" }), "observed only");
  }
  if (one.deliveries.length === 0) {
    return h("span", { class: "faint" }, "no subscription matched");
  }
  const counts = new Map();
  one.deliveries.forEach(({ state }) => counts.set(state, (counts.get(state) || 0) + 1));
  return h("span", { class: "chips" }, [...counts].map(([state, count]) =>
    h("span", { class: `badge is-${state}` }, h("i", { "aria-hidden": "true" }), `${count} ${state}`)));
}

function row(one) {
  return h("li", { class: "row event" },
    h("div", { class: "row-main" }, h("a", { class: "row-link", href: `#/events/${one.id}` }, h("code", null, one.type)),
      one.key !== null && h("span", { class: "faint clip key", title: `Key ${one.key}` }, one.key)),
    h("div", { class: "row-wide" }, h("span", { class: "row-label" }, "Subscriptions"), matched(one)),
    h("div", { class: "row-count" }, h("span", { class: "row-label" }, "Source"), h("span", { title: SOURCES[one.source] }, one.source)),
    h("div", { class: "row-time" }, h("span", { class: "row-label" }, "Time"), when(one.time)));
}

export async function events({ root, query, signal, ask }) {
  const body = h("div", null, loading(6));
  const { before, ...filter } = query;
  const type = select([["", "Any event type"]], "", (event) => ask({ ...filter, type: event.target.value }));
  type.setAttribute("aria-label", "Event type");
  once("event-types").then((all) => all.forEach((one) => type.append(h("option",
    { value: one.type, selected: one.type === query.type }, one.type))), () => {});
  const time = (name, text) => h("label", { class: "inline" }, text, h("input", { type: "datetime-local",
    value: local(query[name]), on: { change: (event) => ask({ ...filter, [name]: utc(event.target.value) }) } }));
  const foot = h("div", { class: "actions centre" });
  fill(root, h("div", { class: "head" }, h("h1", null, "Events")),
    h("div", { class: "filters" }, type, time("from", "From "), time("to", "To ")), body, foot);
  const answer = await get("events", { ...filter, before, limit: PAGE }, signal);
  fill(body, answer.data.length ? h("ul", { class: "rows" }, answer.data.map(row))
    : empty("No events", Object.keys(query).length ? "None is like that."
      : "What happens in the API is listed here, whether or not anybody has subscribed to it."));
  fill(foot, before && button("Newest", () => ask(filter), { icon: "back" }),
    answer.next && button("Older", () => {
      ask({ ...filter, before: answer.next });
      window.scrollTo(0, 0);
    }, { icon: "next" }));
}

export async function event({ root, id, signal, title }) {
  fill(root, loading(6));
  const { data: one, text } = await get(`events/${id}`, {}, signal);
  title(one.type);
  fill(root, h("div", { class: "head" }, h("div", { class: "head-title" }, h("a", { class: "back", href: "#/events" }, "Events"),
    h("h1", null, h("code", null, one.type)), matched(one))),
  h("dl", { class: "facts" }, fact("Time", moment(one.time)), fact("Key", one.key ?? "–"),
    fact("Source", SOURCES[one.source] || one.source), fact("Trace", one.traceparent ? h("code", { class: "long" }, one.traceparent) : "–"),
    fact("Id", h("code", null, one.id))),
  h("div", { class: "beside even" },
    h("section", null, h("h2", null, plural(one.deliveries.length, "matching subscription")),
      one.deliveries.length ? rows(one.deliveries) : h("p", { class: "faint" }, one.observed
        ? "A rule only observes this type: it is recorded, and sent to nobody."
        : "Nobody had subscribed to this type then. Whoever does now can have it replayed.")),
    h("section", null, h("h2", null, "Data"), payload(member(text, "data"), "Data"))));
}
