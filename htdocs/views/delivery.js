/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One delivery: what was sent, every attempt, and why it did not arrive. */
import { get, post } from "../api.js";
import { button, fill, h } from "../dom.js";
import { badge, code as status, duration, explain, moment, plural, when } from "../format.js";
import { member } from "../json.js";
import { busy, code, fact, loading, payload, toast } from "../ui.js";

const EVERY = 2000;
const TYPES = { cloudevents: "application/cloudevents+json" };

function headerList(headers) {
  return h("dl", { class: "headers" }, Object.entries(headers).map(([name, value]) =>
    [h("dt", null, name), h("dd", null, Array.isArray(value) ? value.join(", ") : String(value))]));
}

function attempt(one, longest, last) {
  const why = explain(one);
  const width = Math.max(2, Math.round((one.ms / Math.max(1, longest)) * 100));
  const bar = h("i", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${width}%`;
  return h("li", { class: why ? "is-bad" : "is-good" },
    h("div", { class: "attempt-head" }, h("strong", null, `Attempt ${one.number}`), status(one.status_code),
      h("span", null, moment(one.time)), h("span", { class: "faint" }, duration(one.ms)), h("span", { class: "bar-track" }, bar)),
    one.error && h("p", { class: "error-text" }, one.error),
    why && last && h("p", { class: "why" }, why),
    (one.headers || one.answer) && h("details", { open: last && Boolean(why) }, h("summary", null, "The target's answer"),
      one.headers && headerList(one.headers),
      one.answer ? code(one.answer, { label: `Answer of attempt ${one.number}` }) : h("p", { class: "faint" }, "An empty body.")));
}

function timeline(one) {
  const longest = Math.max(...one.attempts.map(({ ms }) => ms), 1);
  return h("ol", { class: "timeline" }, one.attempts.map((each, i) =>
    attempt(each, longest, i === one.attempts.length - 1)),
  one.state === "pending" && h("li", { class: "is-next" }, one.next_attempt_at
    ? ["Next attempt ", when(one.next_attempt_at), h("span", { class: "faint" }, " ", moment(one.next_attempt_at))]
    : "It is being attempted now, or waits behind another of its key."),
  one.state === "failed" && h("li", { class: "is-end" }, "No more attempts. It can be sent again by hand."),
  one.state === "cancelled" && h("li", { class: "is-end" }, "Cancelled: the subscription ended before it was sent."));
}

/** What the POST carries. The signature is another one each time. */
function sent(one, subscription) {
  const last = one.attempts[one.attempts.length - 1];
  const seconds = last ? Math.floor(Date.parse(last.time) / 1000) : "seconds since 1970";
  return headerList({ "Content-Type": TYPES[subscription && subscription.format] || "application/json",
    "webhook-id": one.event_id, "webhook-timestamp": `${seconds}${last ? ` (attempt ${last.number})` : ""}`,
    "webhook-signature": "v1,… (over id, timestamp and body; not kept)", "X-Hook-Event": one.type,
    "X-Hook-Subscription": one.subscription_id, ...(subscription ? subscription.headers : {}) });
}

function summary(one) {
  const last = one.attempts[one.attempts.length - 1];
  if (one.state === "delivered") {
    return `It arrived ${one.attempts.length > 1 ? `at attempt ${last ? last.number : one.attempt_count}` : "at once"}.`;
  }
  if (!last) {
    return one.state === "pending" ? "Not attempted yet." : "Never attempted.";
  }
  return `${plural(one.attempt_count, "attempt")} so far. ${explain(last) || ""}`;
}

export async function delivery({ root, id, signal, title }) {
  fill(root, loading(6));
  let shown = "", subscription = null, timer = null;
  const load = async () => {
    const { data: one, text } = await get(`deliveries/${id}`, {}, signal);
    if (text !== shown) {
      if (!subscription) {
        subscription = await get(`subscriptions/${one.subscription_id}`, {}, signal).then((answer) => answer.data, () => null);
      }
      draw(one, member(text, "payload"), !shown);
      shown = text;
    }
    return one.state === "pending";
  };
  const attempts = h("div"), head = h("div", { class: "stack" });
  const draw = (one, raw, first) => {
    title(`${one.type} ${one.state}`);
    const again = button(one.state === "pending" ? "Attempt now" : "Send again", (event) => busy(event.currentTarget, async () => {
      await post(`deliveries/${id}/redeliver`);
      toast("On its way");
      await load();
      tick();
    }), { icon: "send", class: "primary", disabled: !subscription || subscription.state !== "active" });
    fill(head, h("div", { class: "head" }, h("div", { class: "head-title" },
      h("a", { class: "back", href: "#/deliveries" }, "Deliveries"),
      h("h1", null, h("code", null, one.type)), badge(one.state), h("p", { class: "summary" }, summary(one))),
    h("div", { class: "actions" }, again)),
    subscription && subscription.state !== "active" && h("div", { class: `banner is-${subscription.state}` },
      h("p", null, `Its subscription is ${subscription.state}: nothing is sent before it is revived.`),
      h("a", { class: "button", href: `#/subscriptions/${subscription.id}` }, "Subscription")),
    h("dl", { class: "facts" },
      fact("Target", subscription ? h("a", { class: "long", href: `#/subscriptions/${one.subscription_id}` }, one.target_url)
        : h("span", { class: "long" }, one.target_url || "unsubscribed since")),
      fact("Event", h("a", { href: `#/events/${one.event_id}` }, h("code", null, one.event_id))),
      fact("Key", one.key ?? "–"), fact("Created", moment(one.created_at)), fact("Delivery", h("code", null, one.id))));
    fill(attempts, one.attempts.length || one.state === "pending" ? timeline(one) : h("p", { class: "faint" }, "None."));
    if (first) {
      fill(root, head, h("div", { class: "beside even" },
        h("section", null, h("h2", null, "Attempts"), attempts),
        h("section", null, h("h2", null, "Request"), h("p", { class: "long request-line" }, h("code", null, `POST ${one.target_url || ""}`)),
          sent(one, subscription), h("h3", null, "Payload"),
          raw ? payload(raw, "Payload") : h("p", { class: "faint" }, "It is past retention."))));
    }
  };
  const tick = () => {
    clearTimeout(timer);
    if (!signal.aborted) {
      timer = setTimeout(() => load().then((pending) => pending && tick(), () => tick()), EVERY);
    }
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  if (await load()) {
    tick();
  }
}
