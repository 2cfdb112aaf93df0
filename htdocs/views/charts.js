/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Deliveries and durations over time, of one subscription or all. */
import { get, subscriptions } from "../api.js";
import { latencies, outcomes } from "../chart.js";
import { fill, h, select } from "../dom.js";
import { duration, number } from "../format.js";
import { loading } from "../ui.js";

const HOUR = 3600;
/** Name, seconds, seconds of a bucket. */
const RANGES = [["1h", "Hour", HOUR, 60], ["24h", "Day", 24 * HOUR, 900], ["7d", "Week", 168 * HOUR, 2 * HOUR],
  ["30d", "30 days", 720 * HOUR, 6 * HOUR]];

function totals(stats) {
  const sum = (name) => stats.buckets.reduce((total, bucket) => total + bucket[name], 0);
  const ended = sum("delivered") + sum("failed");
  const worst = Math.max(...stats.buckets.map((bucket) => bucket.p99 ?? -1));
  const tile = (name, value, kind) => h("div", { class: `tile ${kind || ""}`.trim() }, h("dt", null, name), h("dd", null, value));
  return h("dl", { class: "tiles" }, tile("Delivered", number(sum("delivered"))),
    tile("Failed", number(sum("failed")), sum("failed") ? "is-bad" : ""), tile("Waiting", number(sum("pending"))),
    tile("Arrived", ended ? `${((sum("delivered") / ended) * 100).toFixed(sum("failed") ? 1 : 0)} %` : "–"),
    tile("Attempts", number(sum("attempts"))), tile("Slowest 99 %", worst < 0 ? "–" : duration(worst)));
}

export async function charts({ root, query, signal, ask }) {
  const range = RANGES.find(([name]) => name === query.range) || RANGES[1];
  const whose = select([["", "All subscriptions"]], "", (event) => ask({ ...query, subscription: event.target.value }));
  whose.setAttribute("aria-label", "Subscription");
  subscriptions().then((all) => all.forEach((one) => whose.append(h("option",
    { value: one.id, selected: one.id === query.subscription }, (one.description || one.target_url).slice(0, 60)))), () => {});
  const body = h("div", null, loading(6));
  fill(root, h("div", { class: "head" }, h("h1", null, "Charts")),
    h("div", { class: "filters" }, h("div", { class: "tabs", role: "group", "aria-label": "Time" }, RANGES.map(([name, text]) =>
      h("button", { type: "button", class: "button tab", "aria-pressed": String(name === range[0]),
        on: { click: () => ask({ ...query, range: name }) } }, text))), whose), body);
  const to = new Date();
  const from = new Date(to.getTime() - range[2] * 1000);
  const { data: stats } = await get("stats", { from: from.toISOString(), to: to.toISOString(), step: range[3],
    subscription: query.subscription }, signal);
  const first = h("div"), second = h("div");
  fill(body, totals(stats), h("section", { class: "panel" }, h("h2", null, "Deliveries by outcome"), first),
    h("section", { class: "panel" }, h("h2", null, "Duration of attempts"), second));
  outcomes(first, stats);
  latencies(second, stats);
}
