/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One subscription: what it is, what came of it, what can be done with it. */
import { call, get, once, post } from "../api.js";
import { outcomes } from "../chart.js";
import { button, fill, h } from "../dom.js";
import { REASONS, badge, code as status, local, moment, number, plural, utc, when } from "../format.js";
import { link } from "../link.js";
import { receive } from "../samples.js";
import { busy, code, confirm, dialog, fact, loading, toast } from "../ui.js";
import { rows } from "./deliveries.js";
import { types } from "./subscriptions.js";

const OVERLAPS = [["24h", "a day"], ["1h", "an hour"], ["7d", "a week"], ["0s", "no time at all"]];

/** A new secret, shown once more than it needs to be typed: never. */
export function showSecret(secret, text) {
  return dialog("Signing secret", (close) => h("div", null, h("p", null, text),
    code(secret, { label: "Secret" }), h("p", { class: "faint" },
      "Whoever has it can sign as this server does. Keep it where your other secrets are."),
    h("div", { class: "actions" }, button("Done", () => close(), { class: "primary" }))));
}

async function rotate(id) {
  const overlap = h("select", { id: "overlap" }, OVERLAPS.map(([value, text]) =>
    h("option", { value }, text)));
  const chosen = await dialog("New signing secret", (close) => h("form", { on: { submit: (event) => {
    event.preventDefault();
    close(overlap.value);
  } } }, h("p", null, "Each POST carries both signatures for a while, so that the receiver can "
    + "change over without losing one."), h("div", { class: "field" },
    h("label", { for: "overlap" }, "The old secret signs as well for"), overlap),
  h("div", { class: "actions" }, button("Make a new secret", null, { type: "submit", class: "primary" }))));
  if (chosen !== undefined) {
    const answer = await post(`subscriptions/${id}/secret/rotate`, { overlap: chosen });
    await showSecret(answer.data.secret, "This is the new secret.");
  }
}

/** Ask for a range, count what it holds, send it again. */
async function replay(id, changed) {
  const from = h("input", { type: "datetime-local", id: "replay-from", required: true,
    value: local(new Date(Date.now() - 86400000).toISOString()) });
  const to = h("input", { type: "datetime-local", id: "replay-to" });
  const state = h("select", { id: "replay-state" }, h("option", { value: "failed" },
    "what has failed"), h("option", { value: "any" }, "everything, also what arrived or was never sent"));
  const preview = h("p", { class: "preview", role: "status" }, "Counting…");
  const submit = button("Send again", null, { type: "submit", class: "primary", icon: "replay" });
  const body = () => ({ from: utc(from.value), to: utc(to.value) || undefined, state: state.value });
  let turn = 0;
  const count = async () => {
    const mine = turn += 1;
    submit.disabled = true;
    if (!body().from) {
      preview.textContent = "Choose when it begins.";
      return;
    }
    preview.textContent = "Counting…";
    try {
      const { data } = await post(`subscriptions/${id}/replay`, { ...body(), dry_run: true });
      if (mine === turn) {
        preview.textContent = data.matching ? `${plural(data.matching, "delivery").replace("deliverys", "deliveries")} will be sent again.`
          : "Nothing of that kind happened then.";
        submit.disabled = data.matching === 0;
      }
    } catch (error) {
      preview.textContent = error.message;
    }
  };
  const done = dialog("Replay", (close) => h("form", { on: { submit: async (event) => {
    event.preventDefault();
    const answer = await busy(submit, () => post(`subscriptions/${id}/replay`, body()));
    if (answer) {
      close(answer.data.queued);
    }
  }, input: count } }, h("p", null, "Events of a time are sent to this target once more. Receivers "
    + "recognise what they have by its webhook-id."),
  h("div", { class: "pair" }, h("div", { class: "field" }, h("label", { for: "replay-from" }, "From"), from),
    h("div", { class: "field" }, h("label", { for: "replay-to" }, "To (now, if empty)"), to)),
  h("div", { class: "field" }, h("label", { for: "replay-state" }, "Send"), state), preview,
  h("div", { class: "actions" }, submit)));
  count();
  const queued = await done;
  if (queued !== undefined) {
    toast(`${number(queued)} queued`);
    changed();
  }
}

/** Send the sample of a type, and follow what becomes of it. */
async function test(one, go) {
  const all = await once("event-types");
  const mine = all.filter(({ type }) => one.events.some((pattern) => pattern === "*" ||
    pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)))));
  const pick = h("select", { id: "test-type" }, mine.map(({ type }) => h("option", { value: type }, type)));
  const chosen = mine.length < 2 ? (mine[0] || {}).type || null
    : await dialog("Send a test", (close) => h("form", { on: { submit: (event) => {
      event.preventDefault();
      close(pick.value);
    } } }, h("p", null, "The sample of a type is sent now, signed like any other."),
    h("div", { class: "field" }, h("label", { for: "test-type" }, "Event type"), pick),
    h("div", { class: "actions" }, button("Send", null, { type: "submit", class: "primary", icon: "send" }))));
  if (chosen !== undefined) {
    const answer = await post(`subscriptions/${one.id}/test`, chosen ? { type: chosen } : {});
    go(`/deliveries/${answer.data.id}`);
  }
}

function banner(one, revive) {
  if (one.state === "active") {
    return null;
  }
  return h("div", { class: `banner is-${one.state}` }, h("div", null, h("p", null, REASONS[one.state]),
    one.state_reason && h("p", { class: "clip-lines" }, h("strong", null, one.state_reason))),
  button("Revive", revive, { icon: "play", class: "primary" }));
}

function facts(one) {
  const names = Object.keys(one.headers);
  return h("dl", { class: "facts" },
    fact("Events", types(one.events, 20)),
    fact("Format", one.format),
    fact("Order", one.ordered ? "one at a time for each key" : "none promised"),
    fact("Rate limit", one.rate_limit ? `${one.rate_limit} a second` : "none"),
    fact("Headers", names.length ? names.join(", ") : "none of its own"),
    fact("Delivered / failed / waiting",
      `${number(one.stats.delivered)} / ${number(one.stats.failed)} / ${number(one.stats.pending)}`),
    fact("Last answer", one.stats.last_attempt_at
      ? [status(one.stats.last_status_code), " ", when(one.stats.last_attempt_at)] : "never triggered"),
    fact("Created", moment(one.created_at)), fact("Id", h("code", null, one.id)));
}

export async function subscription(view) {
  const { root, id, signal, go, title } = view;
  const path = `subscriptions/${id}`;
  fill(root, loading());
  const { data: one } = await get(path, {}, signal);
  const again = () => subscription(view);
  const change = async (event, active) => {
    const done = await busy(event.currentTarget, () => call("PATCH", path, {
      body: { active }, headers: { "Content-Type": "application/merge-patch+json" } }));
    if (done) {
      toast(active ? "It is active again" : "Paused");
    }
    again();
  };
  const press = (work) => (event) => busy(event.currentTarget, work);
  title(one.target_url);
  const chart = h("div", null, loading(3));
  const recent = h("div", null, loading(3));
  const verify = h("div");
  fill(root,
    h("div", { class: "head" },
      h("div", { class: "head-title" }, h("a", { class: "back", href: "#/subscriptions" }, "Subscriptions"),
        h("h1", { class: "url long" }, one.target_url), one.description && h("p", { class: "faint" }, one.description),
        badge(one.state)),
      h("div", { class: "actions" },
        button("Send test", press(() => test(one, go)), { icon: "send", class: "primary", disabled: one.state !== "active" }),
        button("Edit", () => go(`/subscriptions/${id}/edit`), { icon: "edit" }),
        one.state === "active" && button("Pause", (event) => change(event, false), { icon: "pause" }),
        button("Replay", () => replay(id, again), { icon: "replay", disabled: one.state !== "active" }),
        button("Rotate secret", press(() => rotate(id)), { icon: "key" }),
        button("Unsubscribe", press(async () => {
          if (await confirm("Unsubscribe?", `Nothing more is sent to ${one.target_url}. What waits for it is cancelled; the log stays.`, "Unsubscribe")) {
            await call("DELETE", path);
            toast("Unsubscribed");
            go("/subscriptions");
          }
        }), { icon: "trash", class: "danger-quiet" }))),
    banner(one, (event) => change(event, true)), facts(one),
    h("section", null, h("h2", null, "Last 24 hours"), chart),
    h("section", null, h("div", { class: "section-head" }, h("h2", null, "Latest deliveries"),
      h("a", { href: link("/deliveries", { subscription: id }) }, "All deliveries")), recent),
    h("section", null, h("h2", null, "Receive and verify"), verify));
  const [stats, list, all] = await Promise.all([
    get("stats", { subscription: id }, signal), get(`${path}/deliveries`, { limit: 8 }, signal), once("event-types")]);
  outcomes(chart, stats.data);
  fill(recent, list.data.length ? rows(list.data) : h("p", { class: "faint" },
    "Nothing yet. A test shows whether the target answers."));
  await receive(verify, one, all);
}
