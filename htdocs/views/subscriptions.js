/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* All subscriptions: state, last answer, and what the last day was like. */
import { get, once } from "../api.js";
import { sparkline } from "../chart.js";
import { button, fill, h, select } from "../dom.js";
import { badge, code, number, when } from "../format.js";
import { link } from "../link.js";
import { empty, loading } from "../ui.js";

const PAGE = 50;
const STATES = [["", "All"], ["true", "Active"], ["false", "Not active"]];

/** Patterns of types; a few, and how many more. */
export function types(patterns, most = 4) {
  return h("span", { class: "chips" }, patterns.slice(0, most).map((pattern) =>
    h("span", { class: "chip" }, pattern)),
  patterns.length > most && h("span", { class: "faint" }, `+${patterns.length - most}`));
}

function row(one, stats) {
  const { last_status_code: status, last_attempt_at: at, pending, failed } = one.stats;
  return h("li", { class: "row subscription" },
    h("div", { class: "row-main" },
      h("a", { class: "row-link url", href: `#/subscriptions/${one.id}`, title: one.target_url },
        one.target_url),
      one.description && h("p", { class: "faint clip" }, one.description),
      types(one.events)),
    h("div", { class: "row-state" }, badge(one.state),
      one.state_reason && h("p", { class: "faint clip", title: one.state_reason },
        one.state_reason)),
    h("div", { class: "row-last" }, h("span", { class: "row-label" }, "Last answer"),
      at ? [code(status), " ", when(at)] : h("span", { class: "faint" }, "never triggered")),
    h("div", { class: "row-count" }, h("span", { class: "row-label" }, "Waiting / failed"),
      `${number(pending)} / `, h("span", { class: failed ? "bad" : "" }, number(failed))),
    h("div", { class: "row-spark" }, h("span", { class: "row-label" }, "Last 24 hours"),
      sparkline(stats.get(one.id))));
}

export async function subscriptions({ root, query, signal, go, ask }) {
  const list = h("ul", { class: "rows" });
  const foot = h("div", { class: "actions centre" });
  const create = () => button("New subscription", () => go("/subscriptions/new"),
    { icon: "plus", class: "primary" });
  const body = h("div", null, loading());
  const filter = select(STATES, query.active || "", (change) =>
    ask({ ...query, active: change.target.value }));
  const kinds = h("select", { "aria-label": "Event type", on: { change: () =>
    ask({ ...query, event: kinds.value }) } }, h("option", { value: "" }, "Any event type"));
  filter.setAttribute("aria-label", "State");
  fill(root, h("div", { class: "head" }, h("h1", null, "Subscriptions"),
    h("div", { class: "actions" }, create())),
  h("div", { class: "filters" }, filter, kinds), body);
  once("event-types").then((all) => all.forEach(({ type }) =>
    kinds.append(h("option", { value: type, selected: type === query.event }, type))), () => {});

  const stats = new Map();
  const [first, day] = await Promise.all([
    get("subscriptions", { limit: PAGE, active: query.active, event: query.event }, signal),
    get("stats/subscriptions", {}, signal).catch(() => ({ data: { subscriptions: [] } }))]);
  for (const one of day.data.subscriptions) {
    stats.set(one.id, one);
  }
  const add = (answer) => {
    list.append(...answer.data.map((one) => row(one, stats)));
    fill(foot, answer.next && button("Show more", async (click) => {
      click.target.disabled = true;
      add(await get("subscriptions", { limit: PAGE, before: answer.next, active: query.active,
        event: query.event }, signal));
    }));
  };
  if (first.data.length === 0 && (query.active || query.event)) {
    fill(body, empty("No such subscription", "None has this state and event type.",
      h("a", { class: "button", href: link("/subscriptions") }, "Show all")));
  } else if (first.data.length === 0) {
    fill(body, empty("Get told when something happens",
      "A subscription sends each event of the types that you choose to a URL of yours, as JSON, "
      + "signed, and again until it has arrived.", create()));
  } else {
    add(first);
    fill(body, list, foot);
  }
}
