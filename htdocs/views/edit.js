/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Create and change a subscription. */
import { ApiError, call, get, once, post } from "../api.js";
import { button, complain, field, fill, h } from "../dom.js";
import { busy, loading, payload, toast } from "../ui.js";
import { showSecret } from "./subscription.js";

const FORMATS = [["array", "Array", "The data as an array of one item."],
  ["envelope", "Envelope", "Standard Webhooks: type, timestamp and data."],
  ["cloudevents", "CloudEvents", "CloudEvents 1.0 in structured mode."],
  ["skinny", "Skinny", "Ids and a URL only: fetch the rest yourself."]];
/** Names of the API's fields, by what they belong to here. */
const PLACES = { target_url: "target", events: "events", description: "description",
  rate_limit: "rate", headers: "headers", format: "format", ordered: "ordered" };

/** What a browser can tell about a target's URL; "" when that is nothing. */
function urlProblem(text) {
  if (!text) {
    return "";
  }
  let url;
  try {
    url = new URL(text);
  } catch {
    return "Not a whole URL. It begins with https:// and names a host.";
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return "Only https:// targets can be reached.";
  }
  if (url.username || url.password) {
    return "No user or password here. Add an Authorization header below instead.";
  }
  if (url.hash) {
    return "What follows the # is never sent. Leave it out.";
  }
  return new TextEncoder().encode(text).length > 2048 ? "Longer than 2,048 bytes." : "";
}

/** What is no mistake, but may surprise. */
function urlHint(text) {
  let host = "", scheme = "";
  try {
    ({ hostname: host, protocol: scheme } = new URL(text));
  } catch { /* said elsewhere */ }
  if (/^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(host)) {
    return "This address is not public: the administrator must have allowed it.";
  }
  return scheme === "http:" ? "Not encrypted: many servers allow https:// only."
    : "Each event is POSTed here.";
}

function covers(patterns, type) {
  return patterns.some((pattern) => pattern === "*" || pattern === type ||
    (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))));
}

/** The picker of event types: all, those of a noun, or single ones. */
function picker(all, chosen, changed) {
  const nouns = [...new Set(all.map(({ type }) => type.split(".")[0]))];
  const box = (pattern, text, more) => h("label", { class: `check ${more || ""}`.trim() },
    h("input", { type: "checkbox", value: pattern, checked: chosen.has(pattern), on: { change: (event) => {
      chosen[event.target.checked ? "add" : "delete"](pattern);
      sync();
      changed(pattern);
    } } }), h("span", null, text));
  const search = h("input", { type: "search", placeholder: "Find an event type", "aria-label": "Find an event type",
    on: { input: () => list.querySelectorAll("[data-text]").forEach((one) => {
      one.hidden = !one.dataset.text.includes(search.value.toLowerCase());
    }) } });
  const list = h("div", { class: "picker-list" }, box("*", [h("strong", null, "All events"), " (*), also those to come"]),
    nouns.map((noun) => {
      const types = all.filter(({ type }) => type.split(".")[0] === noun);
      return h("div", { class: "picker-group", data: { text: types.map(({ type, description }) => `${type} ${description}`).join(" ").toLowerCase() } },
        box(`${noun}.*`, [h("strong", null, noun), ` (${noun}.*)`]),
        types.map(({ type, description }) => h("div", { class: "picker-type", data: { text: `${type} ${description}`.toLowerCase() } },
          box(type, [h("code", null, type), description && h("span", { class: "faint" }, ` ${description}`)], "inner"),
          button("Sample", () => changed(type), { class: "quiet small", label: `Sample of ${type}` }))));
    }));
  /* What a wider pattern has already need not be chosen. */
  const sync = () => list.querySelectorAll("input").forEach((input) => {
    const wider = [...chosen].filter((pattern) => pattern !== input.value);
    input.disabled = covers(wider, input.value.replace(/\.\*$/, ".")) && input.value !== "*";
    input.checked = chosen.has(input.value) || input.disabled;
  });
  const others = [...chosen].filter((pattern) => ![...list.querySelectorAll("input")].some((input) => input.value === pattern));
  others.forEach((pattern) => list.append(box(pattern, h("code", null, pattern))));
  sync();
  return h("fieldset", { class: "field picker", id: "events", data: { field: "events" } }, h("legend", null, "Events"),
    all.length > 8 && search, list, h("p", { class: "wrong", id: "events-error" }));
}

/** Rows of names and values; the last one is empty. */
function headerRows(headers) {
  const list = h("div", { class: "header-rows" });
  const add = (name, value) => {
    const row = h("div", { class: "header-row" },
      h("input", { value: name, placeholder: "Name", "aria-label": "Header name", maxlength: "256", spellcheck: "false" }),
      h("input", { value, placeholder: "Value", "aria-label": "Header value", spellcheck: "false" }),
      button("", () => row.remove(), { icon: "cross", class: "quiet", label: "Remove this header" }));
    list.append(row);
    return row;
  };
  Object.entries(headers).forEach(([name, value]) => add(name, value));
  return { list, element: h("div", { class: "field", data: { field: "headers" } }, h("span", { class: "label" }, "Headers"), list,
    button("Add a header", () => add("", "").querySelector("input").focus(), { icon: "plus", class: "small" }),
    h("p", { class: "hint" }, "Sent with each POST, for example Authorization."), h("p", { class: "wrong", id: "headers-error" })),
  value: () => Object.fromEntries([...list.children].map((row) => [...row.querySelectorAll("input")].map((input) => input.value))
    .filter(([name]) => name)) };
}

/** Put what the server says at its fields. @return what belongs to none */
function place(form, error) {
  const rest = [];
  let first = null;
  for (const one of error.fields) {
    const id = PLACES[one.field.split(/[.[]/)[0]];
    const text = `${one.field}: ${one.detail}`;
    const error_place = id && form.querySelector(`#${id}-error`);
    if (error_place) {
      const control = complain(form, id, one.field in PLACES ? `This ${one.detail}.` : text);
      if (!control) {
        error_place.textContent = text;
      }
      first = first || control;
    } else {
      rest.push(text);
    }
  }
  if (first) {
    first.focus();
  }
  return rest;
}

export async function edit({ root, id, signal, go }) {
  fill(root, loading(6));
  const [found, all] = await Promise.all([id ? get(`subscriptions/${id}`, {}, signal) : null, once("event-types")]);
  const one = found ? found.data : { target_url: "", events: [], description: "", format: "array",
    headers: {}, ordered: false, rate_limit: null };
  const chosen = new Set(one.events);
  const sample = h("aside", { class: "sample", "aria-label": "Sample payload" });
  const showSample = async (pattern) => {
    const type = (all.find((entry) => covers([pattern], entry.type)) || {}).type;
    if (!type) {
      return;
    }
    const answer = await call("GET", `event-types/${type}/sample`, { signal });
    fill(sample, h("h2", null, "Sample of ", h("code", null, type)),
      h("p", { class: "faint" }, "What is POSTed in the format array."), payload(answer.text, `Sample of ${type}`));
  };
  const target = h("input", { type: "url", value: one.target_url, required: true, maxlength: "2048", spellcheck: "false",
    autocomplete: "off", placeholder: "https://example.com/hooks", on: { input: () => {
      complain(form, "target", urlProblem(target.value));
      form.querySelector("#target-hint").textContent = urlHint(target.value);
    } } });
  const description = h("input", { value: one.description, maxlength: "1024" });
  const rate = h("input", { type: "number", min: "1", max: "1000000", value: one.rate_limit ?? "" });
  const ordered = h("input", { type: "checkbox", id: "ordered", checked: one.ordered });
  const headers = headerRows(one.headers);
  const rest = h("p", { class: "wrong", role: "alert" });
  const submit = button(id ? "Save" : "Subscribe", null, { type: "submit", class: "primary" });
  const events = picker(all, chosen, (pattern) => showSample(pattern).catch(() => {}));
  const formats = h("fieldset", { class: "field" }, h("legend", null, "Format"), FORMATS.map(([value, name, text]) =>
    h("label", { class: "check" }, h("input", { type: "radio", name: "format", value, checked: one.format === value }),
      h("span", null, h("strong", null, name), h("span", { class: "faint" }, ` ${text}`)))), h("p", { class: "wrong", id: "format-error" }));

  const save = async (event) => {
    event.preventDefault();
    form.querySelectorAll(".wrong").forEach((element) => { element.textContent = ""; });
    form.querySelectorAll("[aria-invalid]").forEach((element) => element.removeAttribute("aria-invalid"));
    const wrong = target.value ? urlProblem(target.value) : "Where shall the events go?";
    if (wrong) {
      complain(form, "target", wrong).focus();
      return;
    }
    if (chosen.size === 0) {
      form.querySelector("#events-error").textContent = "Choose at least one.";
      events.querySelector("input").focus();
      return;
    }
    const body = { target_url: target.value, events: [...chosen], description: description.value,
      format: form.elements.format.value, headers: headers.value(), ordered: ordered.checked,
      rate_limit: rate.value ? Number(rate.value) : null };
    await busy(submit, async () => {
      try {
        if (id) {
          await call("PUT", `subscriptions/${id}`, { body: { ...body, active: one.active },
            headers: found.etag ? { "If-Match": found.etag } : {} });
          toast("Saved");
          go(`/subscriptions/${id}`);
        } else {
          const made = await post("subscriptions", body);
          await showSecret(made.data.secret, "Subscribed. The receiver checks each POST's signature with this secret.");
          go(`/subscriptions/${made.data.id}`);
        }
      } catch (error) {
        const lost = error instanceof ApiError && error.status === 412;
        const left = error.fields ? place(form, error) : [];
        rest.textContent = lost ? "Somebody else has changed this subscription meanwhile. Open it again, and change what you need to."
          : left.join(" ") || (error.fields && error.fields.length ? "" : error.message);
      }
    });
  };
  const form = h("form", { class: "edit", novalidate: true, on: { submit: save } },
    field("target", "Target URL", target, urlHint(one.target_url)),
    events, field("description", "Description", description, "For you and your colleagues."), formats,
    h("details", { class: "more", open: Boolean(one.ordered || one.rate_limit || Object.keys(one.headers).length) },
      h("summary", null, "Headers, order and pace"), headers.element,
      h("div", { class: "field", data: { field: "ordered" } }, h("label", { class: "check" }, ordered, h("span", null, h("strong", null, "In order"),
        h("span", { class: "faint" }, " Events of one key come one at a time, as they happened; one that fails holds up the next."))),
      h("p", { class: "wrong", id: "ordered-error" })),
      field("rate", "At most so many POSTs a second", rate, "No limit, if empty.")),
    rest, h("div", { class: "actions" }, submit,
      h("a", { class: "button quiet", href: id ? `#/subscriptions/${id}` : "#/subscriptions" }, "Cancel")));
  fill(root, h("div", { class: "head" }, h("div", { class: "head-title" },
    h("a", { class: "back", href: id ? `#/subscriptions/${id}` : "#/subscriptions" }, id ? "Subscription" : "Subscriptions"),
    h("h1", null, id ? "Edit subscription" : "New subscription"))), h("div", { class: "beside" }, form, sample));
  if (!id) {
    target.focus();
  }
  const about = one.events[0] || (all[0] && all[0].type);
  if (about) {
    showSample(about).catch(() => {});
  }
}
