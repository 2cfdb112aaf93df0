/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Chooses the view to show, by the address after the #. */
import { fill, h } from "./dom.js";
import { refresh } from "./format.js";
import { furnish, namedTenant, stranger, watch } from "./frame.js";
import { link } from "./link.js";
import { failed } from "./ui.js";
import { charts } from "./views/charts.js";
import { deliveries } from "./views/deliveries.js";
import { delivery } from "./views/delivery.js";
import { edit } from "./views/edit.js";
import { event } from "./views/event.js";
import { events } from "./views/events.js";
import { subscription } from "./views/subscription.js";
import { subscriptions } from "./views/subscriptions.js";

const SECTIONS = [["subscriptions", "Subscriptions"], ["deliveries", "Deliveries"],
  ["events", "Events"], ["charts", "Charts"]];
const ROUTES = [
  [/^\/subscriptions$/, subscriptions, "Subscriptions"],
  [/^\/subscriptions\/new$/, edit, "New subscription"],
  [/^\/subscriptions\/([0-9a-f-]+)$/, subscription, "Subscription"],
  [/^\/subscriptions\/([0-9a-f-]+)\/edit$/, edit, "Edit subscription"],
  [/^\/deliveries$/, deliveries, "Deliveries"],
  [/^\/deliveries\/([0-9a-f-]+)$/, delivery, "Delivery"],
  [/^\/events$/, events, "Events"],
  [/^\/events\/([0-9a-f-]+)$/, event, "Event"],
  [/^\/charts$/, charts, "Charts"],
];

const main = document.getElementById("main");
let current = null;
let before = null;
let furnished = null;
/** Scroll positions by address, and whether this step goes back to one. */
const read = new Map();
let stepped = false;

/** The current view, and its parameters. */
function place() {
  const [path, query] = (location.hash.slice(1) || "/subscriptions").split("?");
  return { path, query: Object.fromEntries(new URLSearchParams(query || "")) };
}

function markSection(path) {
  for (const anchor of document.querySelectorAll("#nav a")) {
    if (path.startsWith(anchor.hash.slice(1))) {
      anchor.setAttribute("aria-current", "page");
    } else {
      anchor.removeAttribute("aria-current");
    }
  }
}

/** After a change of view, focus its heading, unless the view has focused something else. */
function focusHeading() {
  const heading = main.querySelector("h1");
  const active = document.activeElement;
  if (heading && (!active || active === document.body || active === main)) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

async function show() {
  const { path, query } = place();
  const route = ROUTES.find(([pattern]) => pattern.test(path));
  if (!route) {
    location.replace("#/subscriptions");
    return;
  }
  if (current) {
    current.abort();
  }
  const control = new AbortController();
  current = control;
  const [pattern, view, title] = route;
  const root = h("div", { class: "view" });
  const moved = before !== null && before !== path;
  const there = stepped ? read.get(location.hash) : 0;
  stepped = false;
  document.title = `${title} · Webhooks`;
  markSection(path);
  fill(main, root);
  if (before !== path) {
    window.scrollTo(0, 0);
    before = path;
  }
  if (moved) {
    main.focus({ preventScroll: true });
  }
  try {
    await view({ root, id: pattern.exec(path)[1], query, signal: control.signal,
      go: (to, more) => { location.hash = link(to, more); },
      title: (text) => { document.title = `${text} · Webhooks`; },
      /* Other parameters of the same view change the address without adding to the history. */
      ask: (more) => {
        const asked = document.activeElement && document.activeElement.ariaLabel;
        history.replaceState(null, "", link(path, more));
        show().then(() => asked && refocus(asked));
        if (asked) {
          refocus(asked);
        }
      } });
  } catch (error) {
    const whose = error.status === 403 ? await furnished : null;
    if (!control.signal.aborted) {
      fill(root, h("h1", null, title), whose && !whose.tenant && !namedTenant() ? stranger(whose)
        : failed(error, show));
    }
  }
  if (moved && !control.signal.aborted) {
    focusHeading();
  }
  if (there && !control.signal.aborted) {
    window.scrollTo(0, there);
  }
}

/** Focus the control of that name again after the view was redrawn. */
function refocus(name) {
  const active = document.activeElement;
  if (!active || active === document.body || active === main) {
    const again = main.querySelector(`[aria-label="${CSS.escape(name)}"]`);
    if (again) {
      again.focus({ preventScroll: true });
    }
  }
}

async function start() {
  fill(document.getElementById("nav"), SECTIONS.map(([name, text]) =>
    h("a", { href: `#/${name}` }, text)));
  document.getElementById("skip").addEventListener("click", (click) => {
    click.preventDefault();
    main.focus();
  });
  watch(show);
  setInterval(refresh, 5000);
  furnished = furnish(show);
  if (namedTenant()) {
    await furnished; /* the data depends on it */
  }
  /* Browsers without this start at the top. */
  if (window.navigation) {
    navigation.addEventListener("navigate", (event) => {
      read.set(location.hash, window.scrollY);
      stepped = event.navigationType === "traverse";
    });
  }
  window.addEventListener("hashchange", show);
  show();
}

start();
