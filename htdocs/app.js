/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The frame: which view is shown, by the address behind the #. */
import { actFor, address, get } from "./api.js";
import { button, fill, h } from "./dom.js";
import { link } from "./link.js";
import { failed } from "./ui.js";
import { charts } from "./views/charts.js";
import { deliveries } from "./views/deliveries.js";
import { delivery } from "./views/delivery.js";
import { edit } from "./views/edit.js";
import { event, events } from "./views/events.js";
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

/** Where the page is, and what it was asked with. */
function place() {
  const [path, query] = (location.hash.slice(1) || "/subscriptions").split("?");
  return { path, query: Object.fromEntries(new URLSearchParams(query || "")) };
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
  document.title = `${title} · Webhooks`;
  for (const anchor of document.querySelectorAll("#nav a")) {
    const here = path.startsWith(anchor.hash.slice(1));
    if (here) {
      anchor.setAttribute("aria-current", "page");
    } else {
      anchor.removeAttribute("aria-current");
    }
  }
  fill(main, root);
  if (show.before !== path) {
    window.scrollTo(0, 0);
    if (show.before) {
      main.focus({ preventScroll: true });
    }
    show.before = path;
  }
  try {
    await view({ root, id: pattern.exec(path)[1], query, signal: control.signal,
      go: (to, more) => { location.hash = link(to, more); },
      title: (text) => { document.title = `${text} · Webhooks`; },
      /* Another question of the same view: in the address, without a step back. */
      ask: (more) => {
        history.replaceState(null, "", link(path, more));
        show();
      } });
  } catch (error) {
    if (!control.signal.aborted) {
      fill(root, failed(error, show));
    }
  }
}

// ---- the session ----

function sessionEnded() {
  const alerts = document.getElementById("alerts");
  if (alerts.firstChild) {
    return;
  }
  fill(alerts, h("div", { class: "alert" },
    h("p", null, h("strong", null, "Your session has ended. "),
      "What you typed on this page is kept: sign in in another tab, then try again here."),
    h("a", { class: "button", href: address(), target: "_blank", rel: "noopener" }, "Sign in"),
    button("Try again", async () => {
      await get("");
      if (main.querySelector(".empty.is-bad")) {
        show();
      }
    }, { class: "primary" })));
}

document.addEventListener("resthooks:expired", sessionEnded);
document.addEventListener("resthooks:answered", () =>
  document.getElementById("alerts").replaceChildren());

// ---- light and dark ----

function themeButton() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches);
  const control = h("span");
  const draw = () => fill(control, button("", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("resthooks.theme", root.dataset.theme);
    } catch { /* only until the page is closed, then */ }
    draw();
    control.firstChild.focus();
  }, { icon: dark() ? "sun" : "moon", class: "quiet", label: dark() ? "Light" : "Dark" }));
  draw();
  return control;
}

/** Administrators may act for another tenant. */
function tenantForm(index) {
  const kept = sessionStorage.getItem("resthooks.tenant") || "";
  const input = h("input", { id: "tenant", value: kept, placeholder: index.tenant || "tenant",
    autocomplete: "off", spellcheck: "false" });
  actFor(kept);
  return h("form", { class: "tenant", on: { submit: (submit) => {
    submit.preventDefault();
    sessionStorage.setItem("resthooks.tenant", input.value);
    actFor(input.value);
    show();
  } } }, h("label", { for: "tenant" }, "Tenant"), input);
}

async function start() {
  const end = document.getElementById("bar-end");
  fill(document.getElementById("nav"), SECTIONS.map(([name, text]) =>
    h("a", { href: `#/${name}` }, text)));
  fill(end, themeButton());
  document.getElementById("skip").addEventListener("click", (click) => {
    click.preventDefault();
    main.focus();
  });
  try {
    const index = (await get("")).data;
    if (index.admin) {
      end.prepend(tenantForm(index));
    } else if (index.tenant) {
      end.prepend(h("span", { class: "whose", title: "Whose webhooks these are" }, index.tenant));
    }
  } catch { /* the view says what is wrong */ }
  window.addEventListener("hashchange", show);
  show();
}

start();
