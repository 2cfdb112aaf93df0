/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Deliveries as rows. */
import { h } from "../dom.js";
import { explain, statusName } from "../explain.js";
import { badge, called, code, when } from "../format.js";

/** What a pending delivery waits for, unless that is a point in time; otherwise a word before it. */
const WAITS = { attempt: "being sent", turn: "due now", rate_limit: "rate limit",
  order: "after its key", subscription: "not active" };

/** The last response in a word, or the time of the next attempt. */
function answer(one) {
  if (one.state === "pending") {
    const before = one.waiting_for === "target" ? "held back, "
      : one.attempt_count ? "again " : "due ";
    return h("small", { class: "clip" }, WAITS[one.waiting_for]
      || (one.next_attempt_at && [before, when(one.next_attempt_at)]));
  }
  const status = one.last_status_code;
  return one.attempt_count > 0 && h("small", { class: "clip" },
    statusName(status) || (status ? explain({ status_code: status }) || {} : {}).name || "");
}

/**
 * names: subscriptions by id. Options: `fresh` marks a new row; `without` names the column, "target"
 * or "event", that is the same in all rows.
 */
export function deliveryRow(one, names, { fresh, without } = {}) {
  const subscription = names.get(one.subscription_id);
  const target = one.target_url || "unsubscribed since";
  const name = subscription ? called(subscription) : target.replace(/^https?:\/\//, "");
  const anchor = (text) => h("a", { class: "row-link", href: `#/deliveries/${one.id}` }, text);
  return h("li", { class: `row ${kind(without)}${fresh ? " is-fresh" : ""}`,
    data: { id: one.id } },
    h("div", { class: "row-state" }, badge(one.state)),
    without !== "event" && h("div", { class: "row-first clip" },
      anchor(h("code", null, one.type)), " ",
      one.key !== null && h("span", { class: "key", title: `Key ${one.key}` }, one.key)),
    without !== "target" && h("div", { class: `${without ? "row-first" : "row-wide"} clip`,
      title: target }, without === "event" ? anchor(name) : name),
    h("div", { class: "answer" }, code(one.last_status_code, one.attempt_count), answer(one)),
    h("div", { class: "num at-end" }, one.attempt_count,
      h("span", { class: "row-label" }, one.attempt_count === 1 ? "attempt" : "attempts")),
    h("div", { class: "num row-when" }, when(one.created_at)));
}

const HEADS = ["State", "Event", "Target", "Last answer", ["Attempts"], ["Created"]];
const kind = (without) => `is-deliveries${without ? ` without-${without}` : ""}`;

/** Headings of the columns above such rows; one in an array is numeric. */
export function heads(style, names) {
  return h("div", { class: `rows-head ${style}`, "aria-hidden": "true" }, names.map((name) =>
    h("span", { class: Array.isArray(name) ? "num" : "" }, name)));
}

/** The same, above deliveries. */
export const deliveryHeads = (without) => heads(kind(without), HEADS.filter((name) =>
  String(name).toLowerCase() !== without));

/** A list of deliveries. */
export function deliveryList(list, names, without) {
  return h("div", { class: "list" }, deliveryHeads(without),
    h("ul", null, list.map((one) => deliveryRow(one, names, { without }))));
}
