/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The log of deliveries, updated as they happen, with filters. */
import { getPage, once, subscriptions, subscriptionsById } from "../api.js";
import { nameThem } from "../picker.js";
import { button, fill, h, select } from "../dom.js";
import { clock, plural } from "../format.js";
import { link } from "../link.js";
import { asked, timeFilter } from "../ranges.js";
import { remember } from "../trail.js";
import { empty, loading, notYet } from "../ui.js";
import { deliveryHeads, deliveryRow } from "./rows.js";

const PAGE = 50;
const EVERY = 3000;
/** Scrolled down further than this (px), the list is being read, so new rows wait above it. */
const READING = 160;
/** No row is inserted for this long after the pointer moved over the list, ms. */
const POINTING = 2000;
/** How long the list waits for the names of subscriptions, ms; it shows their targets until then. */
const NAMES_TIMEOUT = 400;
const STATES = [["", "All"], ["pending", "Pending"], ["delivered", "Delivered"],
  ["failed", "Failed"], ["cancelled", "Cancelled"]];
const ANSWERS = ["2xx", "3xx", "4xx", "5xx", "none", "400", "401", "403", "404", "410", "429",
  "500", "502", "503", "504"];

function statusFilter(query, set) {
  const input = h("input", { list: "answers", "aria-label": "Last answer", maxlength: "4",
    placeholder: "Answer: 404, 5xx, none", value: query.status || "", autocomplete: "off",
    on: { change: (event) => {
      const text = event.target.value.trim().toLowerCase();
      if (/^([1-9](\d\d|xx)|none)?$/.test(text)) {
        set("status", text);
      } else {
        input.setAttribute("aria-invalid", "true");
        input.setCustomValidity("A status code such as 404, a class such as 5xx, or none.");
        input.reportValidity();
      }
    }, input: () => {
      input.setCustomValidity("");
      input.removeAttribute("aria-invalid");
    } } });
  return [input, h("datalist", { id: "answers" }, ANSWERS.map((value) => h("option", { value })))];
}

/** The filters, which are in the address. */
function filters(query, ask) {
  const set = (name, value) => ask({ ...query, before: "", [name]: value });
  const pick = (name) => (event) => set(name, event.target.value);
  const type = select("Event type", [["", "Any event type"],
    ...(query.event ? [[query.event, query.event]] : [])], query.event || "", pick("event"));
  const whose = select("Subscription", [["", "Any subscription"], ...(query.subscription
    ? [[query.subscription, "One subscription"]] : [])], query.subscription || "",
  pick("subscription"));
  once("event-types").then((all) => all.filter((one) => one.type !== query.event).forEach((one) =>
    type.append(h("option", { value: one.type }, one.type))), () => {});
  subscriptions().then((all) => nameThem(whose, all), () => {});
  const any = ["state", "status", "event", "subscription", "range", "from", "to"]
    .some((name) => query[name] !== undefined);
  return h("div", { class: "filters" },
    h("div", { class: "tabs", role: "group", "aria-label": "State" }, STATES.map(([value, text]) =>
      button(text, () => set("state", value), { class: "tab", more: {
        "aria-pressed": String(value === (query.state || "")) } }))),
    statusFilter(query, set), type, whose,
    timeFilter(query, (more) => ask({ ...more, before: "" })),
    any && button("Clear", () => ask({}), { icon: "cross", class: "quiet small" }));
}

function nothing(filtered, ask, { from, to }, answer) {
  if (answer.next) {
    return notYet("deliveries", answer);
  }
  return filtered ? empty("No such deliveries", from && to && Date.parse(from) >= Date.parse(to)
    ? "The time ends before it begins." : "None is like that.",
    button("Clear the filters", () => ask({})))
    : empty("No deliveries yet", "They appear here by themselves as soon as something happens that "
      + "a subscription is about. A test, sent from a subscription, makes one now.",
    h("a", { class: "button primary", href: "#/subscriptions" }, "Subscriptions"));
}

const later = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function deliveries({ root, query, signal, ask }) {
  const { before, range, from, to, ...filter } = query;
  const filtered = Object.keys(query).some((name) => name !== "before");
  const list = h("ul", { "aria-label": "Deliveries" });
  const above = h("div", { class: "more-above" });
  const table = h("div", { class: "list" }, deliveryHeads(), list);
  const body = h("div", null, loading(8));
  const foot = h("div", { class: "actions centre" });
  const note = h("p", { class: "live-note", role: "status" });
  const live = { on: !before && !to, timer: null };
  const ids = new Set();
  let shown = "", names = new Map(), last = null, wrong = false;

  const follow = button("", () => {
    live.on = !live.on;
    draw();
    tick();
  }, { class: "live" });
  const draw = () => {
    follow.setAttribute("aria-pressed", String(live.on));
    fill(follow, h("i", { class: live.on ? "pulse" : "still", "aria-hidden": "true" }),
      live.on ? "Live" : "Paused", h("span", { class: "hidden" },
        live.on ? ": press to pause" : ": press to follow"));
    follow.title = live.on ? "The list follows what happens. Press to hold it still."
      : "The list stands still. Press to follow what happens.";
  };

  const put = (answer, first) => {
    shown = answer.text;
    last = answer;
    const focused = document.activeElement && document.activeElement.closest("li[data-id]");
    fill(list, answer.data.map((one) => deliveryRow(one, names, { fresh: !first && !ids.has(one.id) })));
    if (focused) {
      const again = list.querySelector(`[data-id="${focused.dataset.id}"] a`);
      if (again) {
        again.focus({ preventScroll: true });
      }
    }
    fill(above);
    fill(body, answer.data.length ? [above, table]
      : nothing(filtered || before, ask, query, answer));
    const fresh = answer.data.filter((one) => !ids.has(one.id));
    if (!first && fresh.length) {
      note.textContent = `${fresh.length} new at ${clock(new Date().toISOString())}`;
    }
    answer.data.forEach((one) => ids.add(one.id));
    remember("deliveries", link("/deliveries", query), answer.data.map(({ id }) => id));
    fill(foot, before && button("Newest", () => ask({ ...query, before: "" }), { icon: "back" }),
      answer.next && button(answer.data.length ? "Older" : "Search further", () => {
        ask({ ...query, before: answer.next });
        window.scrollTo(0, 0);
      }, { icon: "next" }));
  };

  /* Otherwise the user could press a row that has moved under the pointer. */
  let pointed = 0;
  table.addEventListener("pointermove", () => { pointed = Date.now(); });
  const load = async (first, ready) => {
    const answer = await getPage("deliveries", { ...filter, ...asked(query), before, limit: PAGE },
      signal);
    await ready;
    if (answer.text === shown || signal.aborted) {
      return;
    }
    const fresh = answer.data.filter((one) => !ids.has(one.id));
    if (!first && fresh.length && window.scrollY > READING) {
      fill(above, button(`${plural(fresh.length, "new delivery")}`, () => {
        put(answer, false);
        window.scrollTo(0, 0);
      }, { icon: "up", class: "primary small" }));
      return;
    }
    if (first || !fresh.length || Date.now() - pointed > POINTING) {
      put(answer, first);
    }
  };
  const tick = () => {
    clearTimeout(live.timer);
    if (live.on && !signal.aborted) {
      live.timer = setTimeout(async () => {
        try {
          if (!document.hidden) {
            await load(false);
            note.textContent = wrong ? "" : note.textContent;
            wrong = false;
          }
        } catch (error) {
          if (!signal.aborted) {
            note.textContent = error.message;
            wrong = true;
          }
          if (error.status === 401) { /* each request may ask for the password */
            document.addEventListener("resthooks:answered", tick, { once: true, signal });
            return;
          }
        }
        tick();
      }, EVERY);
    }
  };

  draw();
  fill(root, h("div", { class: "head" }, h("h1", null, "Deliveries"),
    h("div", { class: "actions" }, note, !before && follow)), filters(query, ask), body, foot);
  signal.addEventListener("abort", () => clearTimeout(live.timer));
  const named = subscriptionsById().then((map) => { names = map; });
  await load(true, Promise.race([named, later(NAMES_TIMEOUT)]));
  tick();
  if (names.size === 0) {
    await named;
    if (last && !signal.aborted) {
      put(last, false);
    }
  }
}
