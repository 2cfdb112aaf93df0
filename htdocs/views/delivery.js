/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* One delivery: why it did not arrive, what was sent, and every attempt. */
import { get, once, post } from "../api.js";
import { button, fill, h } from "../dom.js";
import { explain } from "../explain.js";
import { badge, called, code as status, duration, moment, plural, shortly, span, when }
  from "../format.js";
import { member } from "../json.js";
import { back, neighbours } from "../trail.js";
import { busy, code, copy, copyable, fact, loading, payload, toast, verdict } from "../ui.js";

const SOONEST = 2000, LATEST = 15000;

/** Headers whose values are credentials: hidden until the user asks for them. */
const GUARDED = /authorization|cookie|token|secret|password|api-?key/i;

/** What the API shows instead of a subscription's credentials. */
const MASK = "********";

function guarded(name, text) {
  const place = h("dd", null, "•••••••• ", button("Show", () => {
    place.textContent = text;
    place.tabIndex = -1;
    place.focus();
  }, { class: "quiet small", label: `Show ${name}` }));
  return place;
}

function headerList(headers) {
  return h("dl", { class: "headers" }, Object.entries(headers).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(", ") : String(value);
    return [h("dt", null, name), GUARDED.test(name) && text !== MASK ? guarded(name, text)
      : h("dd", null, text)];
  }));
}

// ---- waiting ----

/** The reason why a pending delivery waits, and until when. */
function waits(one) {
  const at = one.next_attempt_at && [when(one.next_attempt_at), h("span", { class: "faint" }, " · ",
    shortly(one.next_attempt_at))];
  switch (one.waiting_for) {
  case "schedule":
    return [h("span", { class: "strong" }, "Next attempt "), at];
  case "target":
    return ["All that waits for this target is held back, as it fails or asked for a pause. It is "
      + "tried again ", at, "; the rest follows when it answers."];
  case "rate_limit":
    return "It waits for its turn: its subscription's rate limit is used up for now.";
  case "order":
    return "It waits for an earlier delivery of the same key: the subscription wants them in order.";
  case "subscription":
    return "Nothing is sent until its subscription is active again.";
  case "attempt":
    return "It is being attempted now, or is the next to be.";
  default:
    return "It is due now.";
  }
}

// ---- attempts ----

function attempt(one, longest, last) {
  const why = explain(one);
  const bar = h("span", { class: "bar-fill" });
  bar.style.width = `${Math.max(3, Math.round((one.ms / Math.max(1, longest)) * 100))}%`;
  return h("li", { class: why ? "is-bad" : "is-good" },
    h("div", { class: "attempt-head" }, h("span", { class: "strong" }, `Attempt ${one.number}`),
      status(one.status_code), h("span", { class: "faint" }, why ? why.name : ""),
      h("span", { class: "took" }, shortly(one.time),
        h("span", { class: "bar-track", "aria-hidden": "true" }, bar),
        h("span", { class: "num" }, duration(one.ms)))),
    one.error && one.status_code === null && h("p", { class: "error-text" }, one.error),
    (one.headers || one.answer) && h("details", { open: last && Boolean(why) },
      h("summary", null, "What the target answered"), one.headers && headerList(one.headers),
      one.answer ? code(one.answer, { label: `Answer of attempt ${one.number}`, short: true })
        : h("p", { class: "faint" }, "With an empty body.")));
}

/** The pause between two attempts. */
function gap(from, to) {
  const seconds = Math.round((Date.parse(to.time) - Date.parse(from.time) - from.ms) / 1000);
  return seconds > 1 && h("li", { class: "is-gap" }, `${span(seconds)} later`);
}

function timeline(one) {
  const { attempts } = one;
  const longest = Math.max(...attempts.map(({ ms }) => ms), 1);
  const hidden = one.attempt_count - attempts.length;
  return h("ol", { class: "timeline" },
    hidden > 0 && h("li", { class: "is-gap" }, `${plural(hidden, "attempt")} past retention`),
    attempts.map((each, i) => [i > 0 && gap(attempts[i - 1], each),
      attempt(each, longest, i === attempts.length - 1)]),
    one.state === "pending" && h("li", { class: "is-next" }, waits(one)),
    one.state === "failed" && h("li", null, h("span", { class: "faint" },
      "No more attempts by itself.")),
    one.state === "cancelled" && h("li", null, h("span", { class: "faint" },
      "Cancelled: the subscription ended before it was sent.")));
}

// ---- in a sentence ----

/** The most important fact, and what to do about it. */
function judge(one, subscription) {
  const last = one.attempts[one.attempts.length - 1];
  const why = last && explain(last);
  const because = why && [h("p", null, last.status_code && `${why.what} `, why.todo),
    last.error && last.status_code === null && h("p", { class: "error-text" }, last.error)];
  const stopped = subscription && subscription.state !== "active" && h("p", null,
    "Its subscription is ", subscription.state, ", so nothing is sent to it. ",
    h("a", { href: `#/subscriptions/${subscription.id}` }, "Look at the subscription"), ".");
  if (one.state === "delivered") {
    const took = last ? Date.parse(last.time) + last.ms - Date.parse(one.created_at) : 0;
    return verdict("good", one.attempt_count > 1 ? `Delivered at attempt ${one.attempt_count}`
      : "Delivered at once", last && h("p", { class: "faint" },
      `The target answered ${last.status_code}, ${duration(Math.max(0, took))} after the event.`));
  }
  if (one.state === "cancelled") {
    return verdict("off", "Not sent: the subscription ended before", [stopped, because]);
  }
  const what = why && (last.status_code ? `the target answers ${last.status_code}`
    : `${why.what.charAt(0).toLowerCase()}${why.what.slice(1, -1)}`);
  if (one.state === "failed") {
    return verdict("bad", `Not delivered after ${plural(one.attempt_count, "attempt")}`
      + `${what ? `: ${what}` : ""}`, [because, stopped || h("p", null, "It is not tried again by "
      + "itself: send it again once that is repaired.")]);
  }
  const soon = !stopped && h("p", null, waits(one));
  return why ? verdict("wait", `Not delivered yet: ${what}`, [because, soon, stopped])
    : verdict("wait", "On its way", [soon, stopped]);
}

// ---- the request ----

/** Headers of the POST. The signature differs in each attempt. */
function sent(one, subscription, event, version) {
  const last = one.attempts[one.attempts.length - 1];
  if (last && last.sent) {
    return last.sent.headers;
  }
  const type = subscription && subscription.format === "cloudevents"
    ? "application/cloudevents+json" : "application/json";
  return { ...(subscription ? subscription.headers : {}), "Content-Type": type,
    "User-Agent": `mod_resthooks/${version}`, "webhook-id": one.event_id,
    "webhook-timestamp": last ? `${Math.floor(Date.parse(last.time) / 1000)} (attempt ${last.number})`
      : "the seconds of the attempt",
    "webhook-signature": "v1,… (computed for each attempt; not kept)",
    "X-Hook-Event": one.type, "X-Hook-Subscription": one.subscription_id,
    ...(event && event.traceparent ? { traceparent: event.traceparent } : {}) };
}

/** The same request as a command, without a signature. */
function curl(one, headers, raw) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(headers)
    .filter(([name]) => !/^(webhook-(timestamp|signature)|user-agent)$/i.test(name))
    .map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return [`curl -i ${quoted(one.target_url || "")}`, ...lines, `--data-raw ${quoted(raw)}`]
    .join(" \\\n  ");
}

function request(one, raw, headers) {
  return h("section", { class: "panel stack" },
    h("div", { class: "section-head" }, h("h2", null, "Request"), raw && one.target_url
      && button("Copy as curl", () => copy(curl(one, headers, raw)),
        { icon: "terminal", class: "small" })),
    h("p", { class: "request-line" }, h("strong", null, "POST"),
      h("code", null, one.target_url || "unsubscribed since")),
    raw ? payload(raw, "Payload") : h("p", { class: "faint" },
      "What was sent is past retention and no longer kept."),
    h("details", { open: true }, h("summary", null, "Headers"), headerList(headers)));
}

function facts(one, subscription, event) {
  return h("section", { class: "panel" }, h("dl", { class: "facts" },
    fact("Subscription", subscription ? h("a", { href: `#/subscriptions/${one.subscription_id}` },
      called(subscription)) : "unsubscribed since"),
    fact("Event (webhook-id)", h("span", { class: "with-copy" },
      h("a", { href: `#/events/${one.event_id}` }, h("code", null, one.event_id)),
      button("", () => copy(one.event_id), { icon: "copy", class: "quiet small",
        label: "Copy the event's id" }))),
    fact("Delivery", copyable(one.id, "the delivery's id")),
    fact("Created", moment(one.created_at)), fact("Key", one.key ?? "none"),
    event && event.traceparent && fact("Trace", h("code", null, event.traceparent))));
}

function walk(id) {
  const { newer, older } = neighbours("deliveries", id);
  const step = (to, text, picture) => to && h("a", { class: "button only-icon",
    href: `#/deliveries/${to}`, "aria-label": text, title: text }, picture);
  return [step(newer, "Newer delivery", "↑"), step(older, "Older delivery", "↓")];
}

export async function delivery({ root, id, signal, title }) {
  fill(root, loading(6));
  const head = h("div", { class: "stack" }), attempts = h("div"), rest = h("div");
  let shown = "", subscription, event, version, timer = null;

  const draw = (one, raw) => {
    title(`${one.type} ${one.state}`);
    const again = button(one.state === "pending" ? "Attempt now" : "Send again",
      (click) => busy(click.currentTarget, async () => {
        await post(`deliveries/${id}/redeliver`);
        toast("On its way");
        await load();
        tick(SOONEST);
      }), { icon: "send", class: "primary",
        disabled: !subscription || subscription.state !== "active" });
    fill(head, h("div", { class: "head" }, h("div", { class: "head-title" },
      h("a", { class: "back", href: back("deliveries") }, "Deliveries"),
      h("div", { class: "head-line" }, h("h1", null, h("code", null, one.type)), badge(one.state)),
      h("p", { class: "faint" }, "to ", subscription ? called(subscription)
        : one.target_url || "an ended subscription", " · ", when(one.created_at))),
    h("div", { class: "actions" }, walk(id), again)), judge(one, subscription));
    fill(attempts, one.attempts.length || one.state === "pending" ? timeline(one)
      : h("p", { class: "faint" }, "It was never attempted."));
    fill(rest, request(one, raw, sent(one, subscription, event, version)));
    if (!root.contains(head)) {
      fill(root, head, h("div", { class: "beside even" }, h("section", { class: "panel" },
        h("div", { class: "section-head" }, h("h2", null, "Attempts")), attempts), rest),
      facts(one, subscription, event));
    }
  };
  const load = async () => {
    const { data: one, text } = await get(`deliveries/${id}`, {}, signal);
    if (subscription === undefined) {
      const quietly = (path) => get(path, {}, signal).then((answer) => answer.data, () => null);
      [subscription, event, { version }] = await Promise.all([
        quietly(`subscriptions/${one.subscription_id}`), quietly(`events/${one.event_id}`),
        once("").catch(() => ({ version: "…" }))]);
    }
    if (text !== shown) {
      const kept = document.activeElement && root.contains(document.activeElement)
        && document.activeElement.textContent;
      shown = text;
      draw(one, member(text, "payload"));
      if (kept && document.activeElement === document.body) {
        [...head.querySelectorAll("button")].pop().focus({ preventScroll: true });
      }
    }
    return one;
  };
  const tick = (delay) => {
    clearTimeout(timer);
    if (!signal.aborted) {
      timer = setTimeout(() => load().then(next, (error) => {
        if (error.status === 401) { /* each request may ask for the password */
          document.addEventListener("resthooks:answered", () => tick(SOONEST),
            { once: true, signal });
        } else {
          tick(LATEST);
        }
      }), delay);
    }
  };
  /* Often if an attempt is near, seldom if it is far away. */
  const next = (one) => {
    if (one.state === "pending") {
      const left = one.next_attempt_at ? Date.parse(one.next_attempt_at) - Date.now() : 0;
      tick(Math.min(LATEST, Math.max(SOONEST, left / 4)));
    }
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  next(await load());
}
