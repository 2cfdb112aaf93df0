/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The log of deliveries: it follows what happens, and finds what went wrong. */
import { get, once, subscriptions } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { badge, clock, code, local, plural, utc, when } from "../format.js";
import { empty, loading } from "../ui.js";

const PAGE = 50;
const EVERY = 3000;
const STATES = [["", "Any state"], ["pending", "Pending"], ["delivered", "Delivered"],
  ["failed", "Failed"], ["cancelled", "Cancelled"]];
const CODES = [["", "Any answer"], ["2xx", "2xx"], ["3xx", "3xx"], ["4xx", "4xx"], ["5xx", "5xx"],
  ["none", "No answer"]];

function row(one, fresh) {
  return h("li", { class: `row delivery${fresh ? " is-fresh" : ""}`, data: { id: one.id } },
    h("div", { class: "row-state" }, badge(one.state)),
    h("div", { class: "row-main" },
      h("a", { class: "row-link", href: `#/deliveries/${one.id}` }, h("code", null, one.type)),
      one.key !== null && h("span", { class: "faint clip key", title: `Key ${one.key}` }, one.key),
      h("p", { class: "faint url", title: one.target_url }, one.target_url || "unsubscribed")),
    h("div", { class: "row-last" }, h("span", { class: "row-label" }, "Last answer"),
      code(one.last_status_code, one.attempt_count)),
    h("div", { class: "row-count" }, h("span", { class: "row-label" }, "Attempts"),
      plural(one.attempt_count, "attempt")),
    h("div", { class: "row-time" }, h("span", { class: "row-label" }, "Created"),
      when(one.created_at),
      one.next_attempt_at && h("p", { class: "faint" },
        Date.parse(one.next_attempt_at) > Date.now() ? ["next ", when(one.next_attempt_at)] : "due now")));
}

/** A list of deliveries. */
export function rows(list) {
  return h("ul", { class: "rows" }, list.map((one) => row(one)));
}

/** The filters, which are in the address. */
function filters(query, ask) {
  const set = (name, convert) => (event) => ask({ ...query, before: "",
    [name]: convert ? convert(event.target.value) : event.target.value });
  const state = select(STATES, query.state || "", set("state"));
  const known = CODES.some(([value]) => value === (query.status || ""));
  const status = select(known ? CODES : [...CODES, [query.status, query.status]], query.status || "",
    set("status"));
  const exact = h("input", { class: "narrow", inputmode: "numeric", maxlength: "3", placeholder: "404",
    "aria-label": "Exact status code", value: known ? "" : query.status,
    on: { change: (event) => {
      if (/^([1-9]\d\d)?$/.test(event.target.value)) {
        set("status")(event);
      } else {
        event.target.setAttribute("aria-invalid", "true");
      }
    } } });
  const type = select([["", "Any event type"], ...(query.event ? [[query.event, query.event]] : [])],
    query.event || "", set("event"));
  const whose = select([["", "Any subscription"], ...(query.subscription
    ? [[query.subscription, "This subscription"]] : [])], query.subscription || "", set("subscription"));
  const from = h("input", { type: "datetime-local", value: local(query.from), on: { change: set("from", utc) } });
  const to = h("input", { type: "datetime-local", value: local(query.to), on: { change: set("to", utc) } });
  for (const [control, label] of [[state, "State"], [status, "Last answer"], [type, "Event type"],
    [whose, "Subscription"]]) {
    control.setAttribute("aria-label", label);
  }
  once("event-types").then((all) => all.filter((one) => one.type !== query.event).forEach((one) =>
    type.append(h("option", { value: one.type }, one.type))), () => {});
  subscriptions().then((all) => {
    all.forEach((one) => {
      const text = one.description || one.target_url;
      const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
      const there = [...whose.options].find((option) => option.value === one.id);
      if (there) {
        there.textContent = short;
      } else {
        whose.append(h("option", { value: one.id }, short));
      }
    });
  }, () => {});
  const any = ["state", "status", "event", "subscription", "from", "to"].some((name) => query[name]);
  return h("div", { class: "filters" }, state, status, exact, type, whose,
    h("label", { class: "inline" }, "From ", from), h("label", { class: "inline" }, "To ", to),
    any && button("Clear", () => ask({}), { icon: "cross", class: "quiet small" }));
}

export async function deliveries({ root, query, signal, ask }) {
  const { before, ...filter } = query;
  const live = { on: !before && !query.to, timer: null };
  const list = h("ul", { class: "rows" });
  const body = h("div", null, loading(6));
  const foot = h("div", { class: "actions centre" });
  const note = h("p", { class: "live-note", role: "status" });
  const follow = button("", () => {
    live.on = !live.on;
    draw();
    tick();
  }, { class: "live" });
  const draw = () => {
    follow.setAttribute("aria-pressed", String(live.on));
    fill(follow, h("i", { class: live.on ? "pulse" : "still", "aria-hidden": "true" }),
      live.on ? "Live: pause" : "Paused: follow");
  };
  draw();
  fill(root, h("div", { class: "head" }, h("h1", null, "Deliveries"),
    h("div", { class: "actions" }, note, !before && follow)), filters(query, ask), body, foot);

  const ids = new Set();
  let shown = "";
  const load = async (first) => {
    const answer = await get("deliveries", { ...filter, before, limit: PAGE }, signal);
    const fresh = answer.data.filter((one) => !ids.has(one.id));
    if (answer.text !== shown) {
      shown = answer.text;
      const focused = document.activeElement && document.activeElement.closest("[data-id]");
      fill(list, answer.data.map((one) => row(one, !first && !ids.has(one.id))));
      if (focused) {
        const again = list.querySelector(`[data-id="${focused.dataset.id}"] a`);
        if (again) {
          again.focus({ preventScroll: true });
        }
      }
      fill(body, answer.data.length ? list : empty("No deliveries",
        before || Object.keys(filter).length ? "None is like that. Clear the filters to see all."
          : "They appear here by themselves as soon as an event concerns a subscription. A test sends one now.",
        h("a", { class: "button", href: "#/subscriptions" }, "Subscriptions")));
    }
    answer.data.forEach((one) => ids.add(one.id));
    if (!first && fresh.length) {
      note.textContent = `${plural(fresh.length, "new one")} at ${clock(new Date().toISOString())}`;
    }
    fill(foot, before && button("Newest", () => ask({ ...filter }), { icon: "back" }),
      answer.next && button("Older", () => {
        ask({ ...filter, before: answer.next });
        window.scrollTo(0, 0);
      }, { icon: "next" }));
  };
  const tick = () => {
    clearTimeout(live.timer);
    if (live.on && !signal.aborted) {
      live.timer = setTimeout(async () => {
        try {
          if (!document.hidden) {
            await load(false);
          }
        } catch (error) {
          if (!signal.aborted) {
            note.textContent = error.message;
          }
        }
        tick();
      }, EVERY);
    }
  };
  signal.addEventListener("abort", () => clearTimeout(live.timer));
  await load(true);
  tick();
}
