/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Deliveries and durations over time, of one subscription or all. */
import { get, subscriptions } from "../api.js";
import { latencies, outcomes } from "../chart.js";
import { button, fill, h, select } from "../dom.js";
import { called, duration, number, share, zone } from "../format.js";
import { link } from "../link.js";
import { nameThem } from "../picker.js";
import { RANGES, bucketed } from "../ranges.js";
import { shareBar, sum } from "../spark.js";
import { empty, loading } from "../ui.js";
import { heads } from "./rows.js";

const MOST = 50;

/** Totals of a whole range: `all` is its only bucket. */
export function tiles(all) {
  const tile = (name, value, kind) => h("div", { class: `tile ${kind || ""}`.trim() },
    h("dt", null, name), h("dd", null, value));
  return h("dl", { class: "tiles" }, tile("Success rate", share(all.delivered, all.failed)),
    tile("Delivered", number(all.delivered)),
    tile("Failed", number(all.failed), all.failed ? "is-bad" : ""),
    tile("Waiting", number(all.pending)), tile("Attempts", number(all.attempts), "is-minor"),
    tile("Median answer", duration(all.p50)), tile("99 % within", duration(all.p99)));
}

/** A whole range as one bucket. */
export async function whole(range, subscription, signal) {
  const step = Math.ceil((Date.parse(range.to) - Date.parse(range.from)) / 1000);
  const { data } = await get("stats", { ...range, step, subscription }, signal);
  return data.buckets[0];
}

/** Show the deliveries of a bar's time when it is clicked. */
export const opener = (go, step, subscription) => (bucket) => go("/deliveries", { subscription,
  from: bucket.time, to: new Date(Date.parse(bucket.time) + step * 1000).toISOString() });

/** Sort subscriptions by failures, then by volume. */
function shares(stats, all, range) {
  const names = new Map(all.map((one) => [one.id, one]));
  const rows = stats.subscriptions.map((one) => ({ id: one.id, delivered: sum(one.delivered),
    failed: sum(one.failed) })).filter((one) => names.has(one.id) && one.delivered + one.failed > 0)
    .sort((a, b) => b.failed - a.failed || b.delivered - a.delivered);
  return rows.length > 0 && h("section", null, h("div", { class: "section-head" },
    h("h2", null, "By subscription")), h("div", { class: "list" },
    heads("is-shares", ["Subscription", "", ["Delivered"], ["Failed"], ["Success"]]),
    h("ul", null, rows.length > MOST && h("li", { class: "row faint" },
      `The first ${MOST} of ${number(rows.length)}: those with most failures.`),
    rows.slice(0, MOST).map((one) => h("li", { class: "row is-shares" },
      h("div", { class: "clip row-wide" }, h("a", { class: "row-link",
        href: link("/charts", { range, subscription: one.id }) }, called(names.get(one.id)))),
      h("div", null, shareBar(one.delivered, one.failed)),
      h("div", { class: "num" }, h("span", { class: "row-label" }, "Delivered"),
        number(one.delivered)),
      h("div", { class: "num" }, h("span", { class: "row-label" }, "Failed"),
        h("span", { class: one.failed ? "bad" : "" }, number(one.failed))),
      h("div", { class: "num" }, h("span", { class: "row-label" }, "Success"),
        share(one.delivered, one.failed)))))));
}

export async function charts({ root, query, signal, ask, go }) {
  const name = query.range in RANGES ? query.range : "24h";
  const range = bucketed(name);
  const { subscription } = query;
  const whose = select("Subscription", [["", "All subscriptions"],
    ...(subscription ? [[subscription, "One subscription"]] : [])], subscription || "",
    (event) => ask({ ...query, subscription: event.target.value }));
  const body = h("div", { class: "stack" }, loading(8));
  fill(root, h("div", { class: "head" }, h("h1", null, "Charts")),
    h("div", { class: "filters" }, h("div", { class: "tabs", role: "group", "aria-label": "Time" },
      Object.entries(RANGES).map(([key, [text]]) => button(text, () => ask({ ...query, range: key }),
        { class: "tab", more: { "aria-pressed": String(key === name) } }))), whose,
    h("p", { class: "live-note" }, `Times are ${zone()}`)), body);
  const [{ data: stats }, all, list, rows] = await Promise.all([
    get("stats", { ...range, subscription }, signal), whole(range, subscription, signal),
    subscriptions().catch(() => []),
    subscription ? null : get("stats/subscriptions", { ...range, step: 86400 }, signal)]);
  nameThem(whose, list);
  const total = all.delivered + all.failed + all.pending + all.cancelled;
  fill(body, total + all.attempts === 0 && empty("Nothing was sent in this time",
    "Choose a longer time, or send a test from a subscription."),
  total + all.attempts > 0 && [tiles(all),
    outcomes(stats, "Deliveries by outcome", opener(go, range.step, subscription)),
    latencies(stats, "How long the targets took to answer"),
    rows && shares(rows.data, list, name)]);
}
