/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* All subscriptions: state, last response, the last day; those that need attention come first. */
import { get, once, subscriptions as every } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { REASONS, explain } from "../explain.js";
import { badge, called, code, number, plural, share, when } from "../format.js";
import { link } from "../link.js";
import { covers, types } from "../patterns.js";
import { sparkline, sum } from "../spark.js";
import { empty, loading } from "../ui.js";
import { silence } from "../why.js";
import { heads } from "./rows.js";

const PAGE = 50;
/** Maximum number of search results shown. */
const MOST_FOUND = 100;
/** Maximum number named in the box above; the list shows all. */
const NAMED = 5;
const STATES = [["", "All"], ["true", "Active"], ["false", "Not active"]];
const HEADS = ["Target", "State", "Last answer", ["Waiting"], ["Failed"], "Last 24 hours"];

function row(one, day) {
  const { last_status_code: status, last_attempt_at: at, pending, failed } = one.stats;
  const host = one.target_url.replace(/^https:\/\//, "");
  return h("li", { class: "row is-subscriptions" },
    h("div", { class: "row-two row-wide" },
      h("a", { class: "row-link clip", href: `#/subscriptions/${one.id}`, title: one.target_url },
        one.description || host),
      h("div", { class: "beneath" }, one.description
        && h("small", { class: "clip", title: one.target_url }, host), types(one.events, 3))),
    h("div", { title: one.state_reason }, h("span", { class: "row-label" }, "State"),
      badge(one.state)),
    h("div", null, h("span", { class: "row-label" }, "Last answer"), at
      ? h("div", { class: "answer" }, code(status), h("small", { class: "clip" },
        when(at))) : h("span", { class: "faint" }, "never triggered")),
    h("div", { class: "num" }, h("span", { class: "row-label" }, "Waiting"), number(pending)),
    h("div", { class: "num" }, h("span", { class: "row-label" }, "Failed"),
      h("span", { class: failed ? "bad" : "" }, number(failed))),
    h("div", { class: "row-wide" }, h("span", { class: "row-label" }, "Last 24 hours"),
      sparkline(day)));
}

/** What is wrong with a subscription; null if nothing is. */
function trouble(one, day) {
  if (one.state === "gone" || one.state === "disabled") {
    return [one.state, [REASONS[one.state][0], one.state_reason && ` (${one.state_reason})`]];
  }
  const failed = sum(day && day.failed);
  const { last_status_code: status, last_attempt_at: at, pending } = one.stats;
  if (one.state === "active" && at && !(status >= 200 && status < 300) && (failed || pending)) {
    const why = explain({ status_code: status });
    const counts = [failed && `${number(failed)} failed in 24 hours`,
      pending && `${number(pending)} waiting`].filter(Boolean).join(", ");
    return ["failed", status ? `Answers ${status}, ${why.name.toLowerCase()}: ${counts}. `
      + why.what : h("span", null, `No answer comes: ${counts}.`, h("span", { data: { why: one.id } }))];
  }
  return null;
}

/** True if it matches the filters and contains the word. */
function like(one, word, { active, event }) {
  return `${one.description} ${one.target_url}`.toLowerCase().includes(word)
    && (!active || String(one.active) === active) && (!event || covers(one.events, event));
}

/** The box above the list; null if all is well. */
function attention(all, stats) {
  const found = all.map((one) => [one, trouble(one, stats.get(one.id))])
    .filter(([, what]) => what);
  return found.length > 0 && h("section", { class: "panel attention" },
    h("h2", null, found.length === 1 ? "One subscription needs attention"
      : `${number(found.length)} subscriptions need attention`),
    h("ul", null, found.slice(0, NAMED).map(([one, [state, what]]) => h("li", null,
      badge(state, state === "failed" ? "failing" : state),
      h("div", null, h("a", { class: "strong", href: `#/subscriptions/${one.id}` },
        called(one)), h("p", { class: "faint" }, what)),
      state === "failed" ? h("a", { class: "button small", href: link("/deliveries",
        { subscription: one.id, status: one.stats.last_status_code
          ? String(one.stats.last_status_code) : "none" }) }, "Deliveries")
        : h("a", { class: "button small", href: `#/subscriptions/${one.id}` }, "Revive…"))),
    found.length > NAMED && h("li", null, h("span"), h("p", { class: "faint" },
      `and ${plural(found.length - NAMED, "other")}`))));
}

function firstSteps(create) {
  const box = empty("Get told when something happens",
    "A subscription sends each event of the types that you choose to a URL of yours, as signed "
    + "JSON, and tries again for days if it does not arrive.", create);
  box.append(h("ol", { class: "steps" }, [["Choose", "the events that you want, and where they go."],
    ["Receive", "them: samples in five languages verify the signature."],
    ["Watch", "each delivery here, with every attempt and its answer."]].map(([word, text]) =>
    h("li", null, h("strong", null, word), text))));
  return box;
}

export async function subscriptions({ root, query, signal, go, ask }) {
  const create = () => button("New subscription", () => go("/subscriptions/new"),
    { icon: "plus", class: "primary" });
  const list = h("ul", { "aria-label": "Subscriptions" }), foot = h("div", { class: "actions centre" });
  const body = h("div", { class: "stack" }, loading(6)), warning = h("div"), health = h("p", { class: "live-note" });
  const find = h("input", { type: "search", class: "grow", "aria-label": "Find a subscription",
    placeholder: "Find by description or URL", value: query.find || "" });
  const again = (more) => ask({ ...query, find: find.value, ...more });
  const kinds = select("Event type", [["", "Any event type"],
    ...(query.event ? [[query.event, query.event]] : [])], query.event || "",
  (event) => again({ event: event.target.value }));
  once("event-types").then((all) => all.filter(({ type }) => type !== query.event).forEach(
    ({ type }) => kinds.append(h("option", { value: type }, type))), () => {});
  const filters = h("div", { class: "filters" },
    h("div", { class: "tabs", role: "group", "aria-label": "State" }, STATES.map(([value, text]) =>
      button(text, () => again({ active: value }), { class: "tab", more: {
        "aria-pressed": String(value === (query.active || "")) } }))), kinds, find, health);
  fill(root, h("div", { class: "head" }, h("h1", null, "Subscriptions"),
    h("div", { class: "actions" }, create())), warning, filters, body);

  const asked = { limit: PAGE, active: query.active, event: query.event };
  const [first, day] = await Promise.all([get("subscriptions", asked, signal),
    get("stats/subscriptions", {}, signal).catch(() => ({ data: { subscriptions: [] } }))]);
  const stats = new Map(day.data.subscriptions.map((one) => [one.id, one]));
  const add = (rows) => list.append(...rows.map((one) => row(one, stats.get(one.id))));
  const more = (answer) => fill(foot, answer.next && button("Show more", async (click) => {
    click.currentTarget.disabled = true;
    const next = await get("subscriptions", { ...asked, before: answer.next }, signal);
    add(next.data);
    more(next);
  }));
  const table = [h("div", { class: "list" }, heads("is-subscriptions", HEADS), list), foot];
  const show = async () => {
    const word = find.value.trim().toLowerCase();
    history.replaceState(null, "", link("/subscriptions", { ...query, find: find.value }));
    list.replaceChildren();
    if (!word) {
      add(first.data);
      more(first);
      fill(body, table);
      return;
    }
    const all = await every();
    if (find.value.trim().toLowerCase() !== word || signal.aborted) {
      return;
    }
    list.replaceChildren();
    const found = all.filter((one) => like(one, word, query));
    add(found.slice(0, MOST_FOUND));
    fill(foot, found.length > MOST_FOUND && h("p", { class: "faint" },
      `${number(MOST_FOUND)} of ${number(found.length)} are shown: type more of it to find fewer.`));
    fill(body, found.length ? table : empty("No such subscription",
      `None ${query.active || query.event ? "of this state and event type " : ""}has this in its `
      + "description or target URL.", h("a", { class: "button", href: link("/subscriptions") },
        "Show all")));
  };
  if (first.data.length === 0 && (query.active || query.event)) {
    fill(body, empty("No such subscription", "None has this state and event type.",
      h("a", { class: "button", href: link("/subscriptions") }, "Show all")));
    return;
  }
  if (first.data.length === 0) {
    filters.remove();
    root.querySelector(".head .actions").remove();
    fill(body, firstSteps(create()));
    return;
  }
  find.addEventListener("input", () => show().catch(() => {}));
  await show();
  const delivered = sum(day.data.subscriptions.map((one) => sum(one.delivered)));
  const failed = sum(day.data.subscriptions.map((one) => sum(one.failed)));
  if (delivered + failed) {
    fill(health, `${share(delivered, failed)} delivered in the last 24 hours`);
  }
  fill(warning, attention(await every(), stats));
  await Promise.all([...warning.querySelectorAll("[data-why]")].map(async (place) => {
    const why = await silence(place.dataset.why, signal).catch(() => null);
    place.textContent = why ? ` ${why.what}` : "";
  }));
}
