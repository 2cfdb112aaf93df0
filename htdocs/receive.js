/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* How to receive and verify a subscription's POSTs, with its own URL, format and events. */
import { address, call } from "./api.js";
import { button, fill, h } from "./dom.js";
import { sampleOf } from "./formats.js";
import { covers } from "./patterns.js";
import { SAMPLES } from "./samples.js";
import { busy, code } from "./ui.js";

const KEPT = "resthooks.language";

/** The values that the samples contain. */
async function about(one, types) {
  const found = types.find(({ type }) => covers(one.events, type));
  const type = found ? found.type : one.events[0];
  const unknown = { text: "[{}]", mime: "application/json" };
  const sample = found ? await sampleOf(type, one.format).catch(() => unknown) : unknown;
  return { type, id: one.id, target: one.target_url, path: new URL(one.target_url).pathname,
    mime: sample.mime, body: sample.text };
}

/** Put the box with all languages in its place. */
export async function receive(place, one, types) {
  const facts = await about(one, types);
  const box = h("div");
  const names = Object.keys(SAMPLES);
  const tabs = names.map((name) => button(name, () => show(name), { class: "tab" }));
  const show = (name) => {
    tabs.forEach((tab, i) => tab.setAttribute("aria-pressed", String(names[i] === name)));
    fill(box, code(SAMPLES[name](facts), { label: `${name} example` }));
    sessionStorage.setItem(KEPT, name);
  };
  const kept = sessionStorage.getItem(KEPT);
  show(names.includes(kept) ? kept : "Node.js");
  const secret = h("div", { class: "secret-line" });
  const reveal = button("Show the secret", (event) => busy(event.currentTarget, async () => {
    const answer = await call("GET", `subscriptions/${one.id}/secret`);
    const shown = code(answer.data.secret, { label: "Secret" });
    fill(secret, h("code", null, "SECRET"), shown, button("Hide", () => {
      hide();
      reveal.focus();
    }, { class: "small" }));
    shown.querySelector("button").focus();
  }), { icon: "key", class: "small" });
  const hide = () => fill(secret, h("p", { class: "faint" }, "The examples take the signing secret "
    + "from ", h("code", null, "SECRET"), "."), reveal);
  hide();
  fill(place, h("div", { class: "stack" }, secret,
    h("div", { class: "tabs", role: "group", "aria-label": "Language" }, tabs), box,
    h("p", { class: "faint" }, "Signatures are those of Standard Webhooks, so its libraries do as "
      + "well. One event may come twice: remember ", h("code", null, "webhook-id"),
    ". Answer 2xx at once and work afterwards; answer 410 to be unsubscribed. The whole API is in ",
    h("a", { href: address("openapi.json") }, "openapi.json"), ".")));
}
