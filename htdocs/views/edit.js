/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Create and change a subscription. */
import { ApiError, call, get, once, post } from "../api.js";
import { button, checkbox, complain, field, fill, h } from "../dom.js";
import { formats, sampleOf } from "../formats.js";
import { covers } from "../patterns.js";
import { picker } from "../picker.js";
import { called } from "../format.js";
import { busy, loading, payload, toast } from "../ui.js";
import { urlHint, urlProblem } from "../url.js";
import { showSecret } from "./dialogs.js";

/**
 * Members with one input each, by name: label, hint, attributes of the input, and `more` for those
 * that are folded away while none of them has a value.
 */
const INPUTS = {
  description: { label: "Description", hint: "What it is for: lists show it first.",
    input: { maxlength: "1000" } },
  ordered: { label: "In order", hint: "Events of one key come one at a time, as they happened; one "
    + "that fails holds up the next.", input: { type: "checkbox" }, more: true },
  rate_limit: { label: "Maximum number of POSTs per second", hint: "Leave empty for no limit.",
    input: { type: "number", min: "1", max: "100000" }, more: true },
};
const FRESH = { target_url: "", events: [], format: "array", headers: {} };

/** How a value of the API is shown in an input of a type, and read from it. */
const TYPES = {
  text: [(value) => ({ value: value ?? "" }), ({ value }) => value],
  number: [(value) => ({ value: value ?? "" }), ({ value }) => (value ? Number(value) : null)],
  checkbox: [(value) => ({ checked: Boolean(value) }), ({ checked }) => checked],
};

/** The inputs of a subscription: their elements, and their values. */
function inputs(one) {
  const all = Object.entries(INPUTS).map(([name, { label, hint, input, more }]) => {
    const [show, read] = TYPES[input.type || "text"];
    const control = h("input", { ...input, ...show(one[name]) });
    const element = input.type === "checkbox" ? checkbox(name, label, control, hint)
      : field(name, label, control, hint);
    return { name, more, value: () => read(control), element };
  });
  const elements = (more) => all.filter((each) => Boolean(each.more) === more)
    .map(({ element }) => element);
  return { first: elements(false), more: elements(true),
    open: all.some(({ name, more }) => more && one[name]),
    values: () => Object.fromEntries(all.map(({ name, value }) => [name, value()])) };
}

/** Rows for names and values of headers. */
function headerRows(headers) {
  const list = h("div", { class: "header-rows" });
  const add = (name, value) => {
    const row = h("div", { class: "header-row" },
      h("input", { value: name, placeholder: "Name", "aria-label": "Header name",
        maxlength: "256", spellcheck: "false", autocomplete: "off" }),
      h("input", { value, placeholder: "Value", "aria-label": "Header value",
        spellcheck: "false", autocomplete: "off" }),
      button("", () => row.remove(), { icon: "cross", class: "quiet",
        label: "Remove this header" }));
    list.append(row);
    return row;
  };
  Object.entries(headers).forEach(([name, value]) => add(name, value));
  const element = h("div", { class: "field", data: { field: "headers" } },
    h("span", { class: "label" }, "Headers"), list, button("Add a header",
      () => add("", "").querySelector("input").focus(), { icon: "plus", class: "small" }),
    h("p", { class: "hint" }, "Sent with each POST, for example Authorization."),
    h("p", { class: "wrong", id: "headers-error" }));
  const value = () => Object.fromEntries([...list.children]
    .map((row) => [...row.querySelectorAll("input")].map((input) => input.value))
    .filter(([name]) => name));
  return { element, value };
}

/** Show the server's errors at their fields. @return the errors that belong to no field */
function place(form, error) {
  const rest = [];
  let first = null;
  for (const one of error.fields) {
    const name = one.field.split(/[.[]/)[0], id = name === "target_url" ? "target" : name;
    const hole = id && form.querySelector(`#${CSS.escape(id)}-error`);
    if (!hole) {
      rest.push(`${one.field}: ${one.detail}`);
      continue;
    }
    const text = one.field === name ? `This ${one.detail}.` : `${one.field}: ${one.detail}`;
    const control = complain(form, id, text);
    hole.textContent = text;
    const box = hole.closest("details");
    if (box) {
      box.open = true;
    }
    first = first || control || hole.parentElement.querySelector("input, button");
  }
  if (first) {
    first.focus();
  }
  return rest;
}

/** The sample beside the form: of a type, in the chosen format. */
function samples(all, known, format) {
  const box = h("aside", { class: "sample", "aria-label": "Sample payload" });
  let shown = null;
  const draw = () => {
    if (shown) {
      fill(box, h("h2", null, "Sample of ", h("code", null, shown.type)),
        h("p", { class: "hint" }, `POSTed as ${shown.samples[format()].mime}.`),
        payload(shown.samples[format()].text, `Sample of ${shown.type}`));
    }
  };
  const show = async (pattern) => {
    const found = all.find(({ type }) => covers([pattern], type));
    if (found) {
      const samples = await Promise.all(known.map(async ([name]) =>
        [name, await sampleOf(found.type, name)]));
      shown = { type: found.type, samples: Object.fromEntries(samples) };
      draw();
    }
  };
  return { box, draw, show: (pattern) => show(pattern).catch(() => {}) };
}

export async function edit({ root, id, signal, go, title }) {
  fill(root, loading(6));
  const [found, all, known] = await Promise.all([
    id ? get(`subscriptions/${id}`, {}, signal) : null, once("event-types"), formats()]);
  const one = found ? found.data : FRESH;
  const chosen = new Set(one.events);
  const sample = samples(all, known, () => form.elements.format.value);
  const check = () => {
    complain(form, "target", urlProblem(target.value));
    form.querySelector("#target-hint").textContent = urlHint(target.value);
  };
  const target = h("input", { type: "url", value: one.target_url, required: true,
    maxlength: "2048", spellcheck: "false", autocomplete: "off", inputmode: "url",
    placeholder: "https://example.com/hooks", on: { input: check } });
  const plain = inputs(one);
  const headers = headerRows(one.headers);
  const rest = h("p", { class: "wrong", role: "alert" });
  const submit = button(id ? "Save" : "Subscribe", null, { type: "submit", class: "primary" });
  const events = picker(all, chosen, (pattern) => {
    form.querySelector("#events-error").textContent = "";
    sample.show(pattern);
  });
  const choices = h("fieldset", { class: "field", on: { change: sample.draw } },
    h("legend", null, "Format"), h("div", { class: "choices" }, known.map(([value, name, text]) =>
      h("label", { class: "choice" }, h("input", { type: "radio", name: "format", value,
        checked: one.format === value }), h("span", null, h("strong", null, name),
        h("span", { class: "faint" }, text))))), h("p", { class: "wrong", id: "format-error" }));

  /** Check the form before the request. @return true if there are errors */
  const wrong = () => {
    form.querySelectorAll(".wrong").forEach((element) => { element.textContent = ""; });
    form.querySelectorAll("[aria-invalid]").forEach((element) =>
      element.removeAttribute("aria-invalid"));
    const problem = target.value ? urlProblem(target.value) : "Where shall the events go?";
    if (problem) {
      complain(form, "target", problem).focus();
      return true;
    }
    if (chosen.size === 0) {
      form.querySelector("#events-error").textContent = "Choose at least one.";
      events.querySelector("input").focus();
      return true;
    }
    return false;
  };
  const send = async () => {
    const body = { target_url: target.value.trim(), events: [...chosen],
      format: form.elements.format.value, headers: headers.value(), ...plain.values() };
    if (id) {
      // Members that the form does not show stay unchanged.
      await call("PUT", `subscriptions/${id}`, { body: { ...one, ...body },
        headers: found.etag ? { "If-Match": found.etag } : {} });
      toast("Saved");
      go(`/subscriptions/${id}`);
    } else {
      const made = await post("subscriptions", body);
      await showSecret(made.data.secret,
        "Subscribed. The receiver checks each POST's signature with this secret.");
      go(`/subscriptions/${made.data.id}`);
    }
  };
  const save = (event) => {
    event.preventDefault();
    if (wrong()) {
      return;
    }
    busy(submit, () => send().catch((error) => {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      const left = place(form, error);
      rest.textContent = error.status === 412
        ? "Someone else has changed this subscription since you opened it. Open it again in another "
          + "tab and repeat your changes." : left.join(" ") || (error.fields.length ? "" : error.message);
    }));
  };
  const open = plain.open || Object.keys(one.headers).length > 0;
  const form = h("form", { class: "edit", novalidate: true, on: { submit: save } },
    field("target", "Target URL", target, urlHint(one.target_url)), events,
    plain.first, choices, h("details", { class: "more", open }, h("summary", null,
      "Headers, order and pace"), h("div", null, headers.element, plain.more)),
    rest, h("div", { class: "actions" }, submit, h("a", { class: "button quiet",
      href: id ? `#/subscriptions/${id}` : "#/subscriptions" }, "Cancel")));
  title(id ? `Edit ${called(one)}` : "New subscription");
  fill(root, h("div", { class: "head" }, h("div", { class: "head-title" },
    h("a", { class: "back", href: id ? `#/subscriptions/${id}` : "#/subscriptions" },
      id ? "Subscription" : "Subscriptions"),
    h("h1", null, id ? "Edit subscription" : "New subscription"))),
  h("div", { class: "beside wide" }, form, sample.box));
  if (!id) {
    target.focus();
  }
  sample.show(one.events[0] || (all[0] ? all[0].type : "*"));
}
