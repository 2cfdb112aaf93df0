/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Dialogs before something is done with a subscription. */
import { once, post } from "../api.js";
import { button, h } from "../dom.js";
import { local, number, plural, utc, zone } from "../format.js";
import { covers } from "../patterns.js";
import { busy, code, dialog, toast } from "../ui.js";

const OVERLAPS = [["24h", "a day"], ["1h", "an hour"], ["7d", "a week"], ["0s", "no time at all"]];
const DAY = 86400000;

/** Show the secret that was just made. */
export function showSecret(secret, text) {
  return dialog("Signing secret", (close) => h("div", null, h("p", null, text),
    code(secret, { label: "Secret" }), h("p", { class: "faint" },
      "Anyone who has it can sign as this server does: keep it where your other secrets are."),
    h("div", { class: "actions" }, button("Done", () => close(), { class: "primary" }))));
}

export async function rotate(id, changed) {
  const overlap = h("select", { id: "overlap" }, OVERLAPS.map(([value, text]) =>
    h("option", { value }, text)));
  const chosen = await dialog("New signing secret", (close) => h("form", { on: {
    submit: (event) => {
      event.preventDefault();
      close(overlap.value);
    } } }, h("p", null, "For a while each POST carries both signatures, so that the receiver can "
    + "change over without losing one."), h("div", { class: "field" },
    h("label", { for: "overlap" }, "The old secret signs as well for"), overlap),
  h("div", { class: "actions" }, button("Cancel", () => close(), { class: "quiet" }),
    button("Make a new secret", null, { type: "submit", class: "primary" }))));
  if (chosen !== undefined) {
    const answer = await post(`subscriptions/${id}/secret/rotate`, { overlap: chosen });
    await showSecret(answer.data.secret, "This is the new secret. Give it to the receiver now.");
    await changed();
  }
}

/** Ask for a range, count the events in it, and send them again. */
export async function replay(id, changed) {
  const from = h("input", { type: "datetime-local", id: "replay-from", required: true,
    value: local(new Date(Date.now() - DAY).toISOString()) });
  const to = h("input", { type: "datetime-local", id: "replay-to" });
  const state = h("select", { id: "replay-state" }, h("option", { value: "failed" },
    "what has failed"), h("option", { value: "any" },
    "everything, also what arrived or was never sent"));
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
        preview.textContent = data.matching
          ? `${plural(data.matching, "delivery")} will be sent again.`
          : "Nothing of that kind happened then.";
        submit.disabled = data.matching === 0;
      }
    } catch (error) {
      if (mine === turn) {
        preview.textContent = error.fields && error.fields.length
          ? error.fields.map((one) => `${one.field} ${one.detail}`).join("; ") : error.message;
      }
    }
  };
  const done = dialog("Replay", (close) => h("form", { on: { submit: async (event) => {
    event.preventDefault();
    const answer = await busy(submit, () => post(`subscriptions/${id}/replay`, body()));
    if (answer) {
      close(answer.data.queued);
    }
  }, input: count } }, h("p", null, "Events of a time are sent to this target once more. A receiver "
    + "recognises what it has already by its webhook-id."),
  h("div", { class: "pair" }, h("div", { class: "field" }, h("label", { for: "replay-from" }, "From"),
    from), h("div", { class: "field" }, h("label", { for: "replay-to" }, "To (now, if empty)"), to)),
  h("p", { class: "hint" }, `Both are ${zone()}.`),
  h("div", { class: "field" }, h("label", { for: "replay-state" }, "Send"), state), preview,
  h("div", { class: "actions" }, button("Cancel", () => close(), { class: "quiet" }), submit)));
  count();
  const queued = await done;
  if (queued !== undefined) {
    toast(`${number(queued)} queued`);
    changed();
  }
}

/** Send the sample of a type, and show what becomes of it. */
export async function sendTest(one, go) {
  const all = await once("event-types");
  const mine = all.filter(({ type }) => covers(one.events, type));
  const pick = h("select", { id: "test-type" }, mine.map(({ type }) =>
    h("option", { value: type }, type)));
  const chosen = mine.length < 2 ? (mine[0] || {}).type || null
    : await dialog("Send a test", (close) => h("form", { on: { submit: (event) => {
      event.preventDefault();
      close(pick.value);
    } } }, h("p", null, "The sample of a type is sent now, signed like any other."),
    h("div", { class: "field" }, h("label", { for: "test-type" }, "Event type"), pick),
    h("div", { class: "actions" }, button("Cancel", () => close(), { class: "quiet" }),
      button("Send", null, { type: "submit", class: "primary", icon: "send" }))));
  if (chosen !== undefined) {
    const answer = await post(`subscriptions/${one.id}/test`, chosen ? { type: chosen } : {});
    go(`/deliveries/${answer.data.id}`);
  }
}
