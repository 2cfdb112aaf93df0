/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One subscription: its settings, its results, and actions. */
import { call, get, once, subscriptionsById } from "../api.js";
import { outcomes } from "../chart.js";
import { button, fill, h } from "../dom.js";
import { REASONS, explain } from "../explain.js";
import { badge, called, code as status, moment, when } from "../format.js";
import { link } from "../link.js";
import { types } from "../patterns.js";
import { bucketed } from "../ranges.js";
import { silence } from "../why.js";
import { receive } from "../receive.js";
import { busy, confirm, copyable, fact, loading, toast, verdict } from "../ui.js";
import { opener, tiles, whole } from "./charts.js";
import { replay, rotate, sendTest } from "./dialogs.js";
import { deliveryList } from "./rows.js";

const LATEST = 8;
const MERGE = { "Content-Type": "application/merge-patch+json" };

/** The problem of a subscription, and its remedy; null: none. */
async function judge(one, day, revive, signal) {
  if (one.state !== "active") {
    const [what, todo] = REASONS[one.state];
    return verdict(one.state === "paused" ? "off" : one.state === "pending" ? "wait" : "bad", what,
      [one.state_reason && h("p", null, h("strong", null, "Reason: "), one.state_reason),
        h("p", null, todo)],
      button("Revive", revive, { icon: "play", class: "primary" }));
  }
  const { last_status_code: code, last_attempt_at: at, pending } = one.stats;
  if (!at || (code >= 200 && code < 300) || !(day.failed || pending)) {
    return null;
  }
  const why = code ? explain({ status_code: code })
    : await silence(one.id, signal).catch(() => null);
  return verdict("bad", code ? `Failing: the target answers ${code}`
    : "Failing: no answer comes from the target", [h("p", null, why ? `${why.what} ${why.todo}`
    : "The latest delivery says why."), why && why.error && h("p", { class: "error-text" }, why.error),
  h("p", { class: "faint" }, "Last attempt ", when(at), ".")],
  h("a", { class: "button", href: link("/deliveries", { subscription: one.id,
    status: code ? String(code) : "none" }) }, "See these deliveries"));
}

/** State of the secret; while two of them sign, until when, and a way to end that. */
function signing(one, again) {
  if (!one.old_secret_expires_at) {
    return fact("Secret", "one signs");
  }
  const end = button("End it now", (event) => busy(event.currentTarget, async () => {
    await call("DELETE", `subscriptions/${one.id}/secret/old`);
    toast("The new secret alone signs");
    await again();
  }), { class: "quiet" });
  return fact("Secret", ["two sign, the old one until ", moment(one.old_secret_expires_at), " ", end]);
}

function facts(one, again) {
  const names = Object.keys(one.headers);
  return h("section", { class: "panel" }, h("div", { class: "section-head" },
    h("h2", null, "Settings"),
    h("a", { href: `#/subscriptions/${one.id}/edit`, "aria-label": "Edit the settings" }, "Edit")),
  h("dl", { class: "facts is-side" },
    fact("Target URL", h("span", { class: "long" }, one.target_url)),
    fact("Events", types(one.events, 20)), fact("Format", one.format),
    fact("Order", one.ordered ? "one at a time for each key" : "as fast as they come"),
    fact("Rate limit", one.rate_limit ? `${one.rate_limit} a second` : "none"),
    fact("Headers of its own", names.length ? names.join(", ") : "none"),
    fact("Last answer", one.stats.last_attempt_at
      ? [status(one.stats.last_status_code), " ", when(one.stats.last_attempt_at)] : "never triggered"),
    signing(one, again),
    fact("Created", moment(one.created_at)), fact("Changed", moment(one.updated_at)),
    fact("Id", copyable(one.id, "the subscription's id"))));
}

export async function subscription(view) {
  const { root, id, signal, go, title } = view;
  const path = `subscriptions/${id}`;
  fill(root, loading(6));
  const { data: one } = await get(path, {}, signal);
  const again = () => !signal.aborted && subscription(view).catch((error) =>
    !signal.aborted && toast(error.message, "bad"));
  const change = (active) => (event) => busy(event.currentTarget, async () => {
    await call("PATCH", path, { body: { active }, headers: MERGE });
    toast(active ? "It is active again. The events it missed can be replayed." : "Paused");
    await again();
    const next = [...root.querySelectorAll("button")].find((control) =>
      control.textContent === (active ? "Pause" : "Revive"));
    if (next) {
      next.focus();
    }
  });
  const press = (work) => (event) => busy(event.currentTarget, work);
  const unsubscribe = async () => {
    if (await confirm("Unsubscribe?", `Nothing more is sent to ${one.target_url}. What waits for `
      + "it is cancelled; the log of what was sent stays.", "Unsubscribe")) {
      await call("DELETE", path);
      toast("Unsubscribed");
      go("/subscriptions");
    }
  };
  const active = one.state === "active";
  title(called(one));
  const warning = h("div"), numbers = h("div"), chart = h("div", null, loading(4));
  const recent = h("div", null, loading(4)), how = h("div");
  fill(root,
    h("div", { class: "head" },
      h("div", { class: "head-title" }, h("a", { class: "back", href: "#/subscriptions" },
        "Subscriptions"),
      h("div", { class: "head-line" }, h("h1", null, called(one)), badge(one.state)),
      one.description && h("p", { class: "faint long" }, one.target_url)),
      h("div", { class: "actions" },
        button("Send test", press(() => sendTest(one, go)),
          { icon: "send", class: "primary", disabled: !active }),
        button("Edit", () => go(`/subscriptions/${id}/edit`), { icon: "edit" }),
        active && button("Pause", change(false), { icon: "pause" }),
        button("Replay", () => replay(id, again), { icon: "replay", disabled: !active }),
        button("Rotate secret", press(() => rotate(id, again)), { icon: "key" }),
        button("Unsubscribe", press(unsubscribe), { icon: "trash", class: "danger-quiet" }))),
    warning, numbers,
    h("div", { class: "beside" }, h("div", { class: "stack" }, chart,
      h("section", null, h("div", { class: "section-head" }, h("h2", null, "Latest deliveries"),
        h("a", { href: link("/deliveries", { subscription: id }) }, "All deliveries")), recent),
      h("section", { class: "panel" }, h("div", { class: "section-head" },
        h("h2", null, "Receive and verify")), how)),
    facts(one, again)));
  const range = bucketed("24h");
  const [stats, day, list, names, all] = await Promise.all([
    get("stats", { ...range, subscription: id, step: 1800 }, signal), whole(range, id, signal),
    get(`${path}/deliveries`, { limit: LATEST }, signal), subscriptionsById(),
    once("event-types")]);
  const judged = judge(one, day, change(true), signal).then((what) => fill(warning, what));
  fill(numbers, tiles(day));
  fill(chart, outcomes(stats.data, "Last 24 hours", opener(go, 1800, id), h("a",
    { href: link("/charts", { subscription: id }) }, "All charts")));
  fill(recent, list.data.length ? deliveryList(list.data, names, "target") : h("p", { class: "panel faint" },
    "Nothing was sent yet. A test shows whether the target answers."));
  await Promise.all([judged, receive(how, one, all)]);
}
