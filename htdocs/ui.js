/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Parts shared by the views: dialogs, messages, copying, code. */
import { address } from "./api.js";
import { button, fill, h, icon } from "./dom.js";
import { number, size, when } from "./format.js";
import { parts, pretty } from "./json.js";

/** Maximum number of a payload's characters on the page; "Copy" still copies all of them. */
const SHOWN = 300000;
const COLOURED = 60000;

/** A short message at the edge, which disappears after a while. */
export function toast(text, kind = "good") {
  const note = h("p", { class: `toast is-${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 9000 : 5000);
}

/**
 * A dialog. `build` gets a function that closes it with a value and returns the content.
 * @return a promise of that value; undefined when it was dismissed
 */
export function dialog(title, build) {
  return new Promise((resolve) => {
    const box = h("dialog", { "aria-labelledby": "dialog-title" });
    let result;
    const close = (value) => {
      result = value;
      box.close();
    };
    append(box, title, build(close), close);
    box.addEventListener("close", () => {
      box.remove();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
    const first = box.querySelector("[autofocus], input, select, textarea");
    if (first) {
      first.focus();
    }
  });
}

function append(box, title, content, close) {
  box.append(h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title),
    button("", () => close(), { icon: "cross", class: "quiet", label: "Close" })), content);
}

/** Confirm an action that cannot be undone. @return a promise of true or undefined */
export function confirm(title, text, word) {
  return dialog(title, (close) => h("div", null, h("p", null, text), h("div", { class: "actions" },
    button("Cancel", () => close(), { class: "quiet" }),
    button(word, () => close(true), { class: "danger" }))));
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser does not allow copying; select the text instead.", "bad");
  }
}

/** Text in a box with a button that copies it. Options: json, label, short. */
export function code(text, options = {}) {
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": options.label || "Text" });
  const rest = text.length - SHOWN;
  if (options.json && text.length <= COLOURED) {
    fill(pre, parts(text).filter(([, part]) => part)
      .map(([kind, part]) => kind ? h("span", { class: `json-${kind}` }, part) : part));
  } else {
    pre.textContent = rest > 0 ? `${text.slice(0, SHOWN)}\n… ${number(rest)} more characters: `
      + "the button copies them all" : text;
  }
  return h("div", { class: `code-box${options.short ? " is-short" : ""}` }, pre,
    button("", () => copy(text), { icon: "copy", class: "quiet small", label: "Copy" }));
}

/** A payload: pretty or as it was sent. */
export function payload(raw, label) {
  const place = h("div");
  const neat = pretty(raw);
  const buttons = [["Pretty", true], ["As sent", false]].map(([word, is]) =>
    button(word, () => show(is), { class: "tab" }));
  const show = (is) => {
    fill(place, code(is ? neat : raw, { json: is, label }));
    buttons.forEach((one, i) => one.setAttribute("aria-pressed", String((i === 0) === is)));
  };
  show(true);
  return h("div", null, h("div", { class: "payload-head" },
    h("div", { class: "tabs", role: "group", "aria-label": "Show as" }, buttons), size(raw)), place);
}

/** An id with a button that copies it. */
export function copyable(id, name) {
  return h("span", { class: "with-copy" }, h("code", null, id),
    button("", () => copy(id), { icon: "copy", class: "quiet small", label: `Copy ${name}` }));
}

const PICTURES = { bad: "warn", warn: "warn", wait: "clock", good: "done", off: "stop" };

/** The most important fact of a view. kind: bad, warn, wait, good or off. */
export function verdict(kind, title, texts, ...actions) {
  return h("section", { class: `verdict is-${kind}`, "aria-label": "State" }, icon(PICTURES[kind]),
    h("div", null, h("h2", null, title), texts), actions.length > 0
      && h("div", { class: "actions" }, actions));
}

/** Shown if there is nothing yet, with what to do about it. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("h2", null, title), h("p", null, text),
    actions.length > 0 && h("div", { class: "actions centre" }, actions));
}

/** Shown if what was searched of a list so far has none, and there is more to search. */
export function notYet(what, { since }) {
  return h("div", { class: "empty" }, h("h2", null, `No such ${what} so far`), h("p", null,
    "None is like that", since && [" since ", when(since)], ". Older ones were not searched yet."));
}

/** Shown if loading failed, with a button to try again unless there is nothing to load. */
export function failed(error, again) {
  if (error.status === 404) {
    return empty("There is nothing here", "Nothing has this id. It may have been unsubscribed, be "
      + "past retention, or belong to another tenant than yours.",
    h("a", { class: "button", href: "#/deliveries" }, "Deliveries"),
    h("a", { class: "button", href: "#/subscriptions" }, "Subscriptions"));
  }
  return h("div", { class: "empty is-bad", role: "alert" }, h("h2", null, "This could not be loaded"),
    h("p", null, error.message), h("div", { class: "actions centre" }, error.status === 401
      && h("a", { class: "button primary", href: address(), target: "_blank", rel: "noopener" },
        "Sign in"), button("Try again", again)));
}

export function loading(lines = 4) {
  return h("div", { class: "loading", role: "status" }, h("span", { class: "hidden" }, "Loading"),
    Array.from({ length: lines }, () => h("i")));
}

/** A name and its value, for a list of these. */
export const fact = (name, ...value) => h("div", null, h("dt", null, name), h("dd", null, value));

/** Run a button's work with the button disabled until it is done; show errors. */
export async function busy(control, work) {
  control.disabled = true;
  control.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    toast(error.message, "bad");
    return undefined;
  } finally {
    control.disabled = false;
    control.removeAttribute("aria-busy");
    if (document.activeElement === document.body && control.isConnected) {
      control.focus();
    }
  }
}
