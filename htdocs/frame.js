/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The frame around every view: login, theme, search by id, and problems. */
import { actFor, address, get } from "./api.js";
import { button, fill, h, icon } from "./dom.js";
import { empty } from "./ui.js";

const HEALTH_EVERY = 30000;
const alerts = document.getElementById("alerts");
let ended = false;
let sick = null;
let drawn = "";

function draw(again) {
  if (drawn === `${ended} ${sick}`) {
    return; /* so that a repeated alert is read again */
  }
  drawn = `${ended} ${sick}`;
  fill(alerts, ended && h("div", { class: "alert" },
    h("p", null, h("strong", null, "Your session has ended. "),
      "What you typed on this page is kept: sign in in another tab, then come back here."),
    h("a", { class: "button", href: address(), target: "_blank", rel: "noopener" }, "Sign in"),
    button("Try again", again, { class: "primary" })),
  sick && !ended && h("div", { class: "alert is-bad" }, h("p", null,
    h("strong", null, "This server is not well: "), sick, ".")));
}

/** The problems that /health reports. */
const ailments = ({ body, message }) => Object.entries(body.checks || {})
  .filter(([, check]) => check.status !== "ok").map(([name, check]) => check.detail || name)
  .join("; ") || message;

/** Show that the login has expired, or that the server is not healthy. `show` redraws the view. */
export function watch(show) {
  const again = async () => {
    await get("").catch(() => {});
    if (!ended && document.querySelector("main .empty.is-bad")) {
      show();
    }
  };
  document.addEventListener("resthooks:expired", () => {
    if (!ended) {
      ended = true;
      draw(again);
    }
  });
  document.addEventListener("resthooks:answered", () => {
    if (ended) {
      ended = false;
      draw(again);
    }
  });
  /* The user has signed in, in another tab or elsewhere, and is back. */
  const back = () => ended && !document.hidden && again();
  const tabs = new BroadcastChannel("resthooks");
  document.addEventListener("resthooks:answered", () => tabs.postMessage("answered"), { once: true });
  tabs.addEventListener("message", () => ended && again());
  document.addEventListener("visibilitychange", back);
  window.addEventListener("focus", back);
  const ask = async () => {
    try {
      if (!document.hidden && !ended) {
        await get("health");
        sick = null;
      }
    } catch (error) {
      sick = error.status === 503 ? ailments(error) : null;
    }
    draw(again);
    setTimeout(ask, HEALTH_EVERY);
  };
  setTimeout(ask, 1000);
}

// ---- light and dark ----

function themeButton() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches);
  const place = h("span");
  const change = () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("resthooks.theme", root.dataset.theme);
    } catch { /* then only until the page is closed */ }
    paint();
    place.firstChild.focus();
  };
  const paint = () => fill(place, button("", change,
    { icon: dark() ? "sun" : "moon", class: "quiet", label: dark() ? "Light" : "Dark" }));
  paint();
  return place;
}

// // ---- tenant ----

/** The tenant that the page's own address names, for administrators; "" for none. */
export const namedTenant = () => new URLSearchParams(location.search).get("tenant") || "";

/** Administrators may act for another tenant. Its name is in the address, so links lead to it. */
function tenantForm(index, show) {
  const input = h("input", { id: "tenant", value: namedTenant(), autocomplete: "off",
    placeholder: index.tenant || "whose?", spellcheck: "false" });
  const form = h("form", { class: "tenant", on: { submit: (submit) => {
    submit.preventDefault();
    const name = input.value.trim();
    const search = name ? `?${new URLSearchParams({ tenant: name })}` : "";
    history.replaceState(null, "", `${location.pathname}${search}${location.hash}`);
    act();
    show();
  } } }, h("label", { for: "tenant" }, "Tenant"), input);
  const act = () => {
    actFor(namedTenant());
    form.classList.toggle("is-other", Boolean(namedTenant()));
  };
  act();
  return form;
}

/** Shown to a login without webhooks of its own. */
export const stranger = ({ admin }) => (admin
  ? empty("Whose webhooks?", "This login has none of its own. Type a tenant's name into the field "
    + "above: an administrator sees what that tenant sees, and acts for it.")
  : empty("This login has no webhooks", "The server let it in, but does not know whose webhooks it "
    + "may see. Ask its administrator, who says so with RestHooksTenant."));

// ---- by id ----

/** Find what an id belongs to: in logs, webhook-id names an event. */
async function locate(id) {
  for (const kind of ["deliveries", "events", "subscriptions"]) {
    try {
      await get(`${kind}/${id}`);
      return `#/${kind}/${id}`;
    } catch (error) {
      if (error.status !== 404) {
        throw error;
      }
    }
  }
  return null;
}

function finder() {
  const input = h("input", { type: "search", "aria-label": "Find by id", autocomplete: "off",
    placeholder: "Find by id or webhook-id", spellcheck: "false", maxlength: "80" });
  const say = (text) => {
    input.setCustomValidity(text);
    input.setAttribute("aria-invalid", String(Boolean(text)));
    input.reportValidity();
  };
  input.addEventListener("input", () => {
    input.setCustomValidity("");
    input.removeAttribute("aria-invalid");
  });
  return h("form", { class: "find", role: "search", novalidate: true, on: {
    submit: async (submit) => {
      submit.preventDefault();
      const id = input.value.trim().toLowerCase();
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) {
        say("An id looks like 019ab3c0-7c1e-7d7a-9c5e-0c6f3a8f5f11.");
        return;
      }
      try {
        const found = await locate(id);
        if (found) {
          input.value = "";
          location.hash = found;
        } else {
          say("No delivery, event or subscription has this id.");
        }
      } catch (error) {
        say(error.message);
      }
    } } }, icon("search"), input);
}

/** The right end of the bar. @return a promise of the API's index, null if it cannot be loaded */
export async function furnish(show) {
  const end = document.getElementById("bar-end");
  const find = finder();
  fill(end, find, themeButton());
  document.addEventListener("keydown", (key) => {
    if (key.key === "/" && !key.ctrlKey && !key.metaKey && !key.altKey &&
        !key.target.closest("input, select, textarea, dialog")) {
      key.preventDefault();
      find.querySelector("input").focus();
    }
  });
  try {
    const index = (await get("")).data;
    if (index.admin) {
      find.after(tenantForm(index, show));
    } else if (index.tenant) {
      find.after(h("span", { class: "whose clip", title: "Whose webhooks these are" },
        index.tenant));
    }
    return index;
  } catch {
    return null; /* the view shows the error */
  }
}
