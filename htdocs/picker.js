/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The picker of event types: all, those of a noun, or single ones. */
import { button, h } from "./dom.js";
import { MOST_KNOWN } from "./api.js";
import { called, cut, number, plural } from "./format.js";
import { covers } from "./patterns.js";

const SEARCHED = 8;
const LONGEST = 60;

/** Add all subscriptions to a select, which may already contain one, by id. */
export function nameThem(whose, all) {
  const chosen = whose.value;
  const there = new Map([...whose.options].map((option) => [option.value, option]));
  whose.append(...all.map((one) => {
    const option = there.get(one.id) || h("option", { value: one.id });
    option.textContent = cut(called(one), LONGEST);
    return option;
  }), ...all.length >= MOST_KNOWN
    ? [h("option", { disabled: true }, `These are the newest ${number(all.length)}`)] : []);
  whose.value = chosen;
}

/**
 * all: the catalogue. chosen: a Set of patterns, kept up to date.
 * changed(pattern): called after a choice, or to show a pattern.
 */
export function picker(all, chosen, changed) {
  const nouns = [...new Set(all.map(({ type }) => type.split(".")[0]))];
  const box = (pattern, ...text) => h("label", { class: "check" },
    h("input", { type: "checkbox", value: pattern, checked: chosen.has(pattern), on: {
      change: (event) => {
        chosen[event.target.checked ? "add" : "delete"](pattern);
        sync();
        changed(pattern);
      } } }), h("span", null, text));
  const single = ({ type, description }) => h("div", { class: "picker-type",
    data: { text: `${type} ${description}`.toLowerCase() } },
  box(type, h("code", null, type), description && h("span", { class: "faint" }, description)),
  button("Sample", () => changed(type), { class: "quiet small", label: `Sample of ${type}` }));
  const list = h("div", { class: "picker-list", tabindex: "-1" },
    h("div", null, box("*", h("strong", null, "All events"), " (*), also those to come")),
    nouns.map((noun) => {
      const types = all.filter(({ type }) => type.split(".")[0] === noun);
      return h("div", { data: { text: types.map(({ type, description }) => `${type} ${description}`)
        .join(" ").toLowerCase() } }, box(`${noun}.*`, h("strong", null, noun), ` (${noun}.*)`),
      types.map(single));
    }));
  [...chosen].filter((pattern) => ![...list.querySelectorAll("input")].some((input) =>
    input.value === pattern)).forEach((pattern) => list.append(h("div", null,
    box(pattern, h("code", null, pattern)))));
  const count = h("p", { class: "hint", role: "status" });
  /* A type that a wider pattern covers need not be chosen. */
  const sync = () => {
    list.querySelectorAll("input").forEach((input) => {
      const wider = [...chosen].filter((pattern) => pattern !== input.value);
      input.disabled = input.value !== "*"
        && covers(wider, input.value.replace(/\.\*$/, "."));
      input.checked = chosen.has(input.value) || input.disabled;
    });
    const now = all.filter(({ type }) => covers([...chosen], type)).length;
    count.textContent = chosen.size ? `${plural(now, "type")} of ${all.length} chosen.` : "";
  };
  const search = h("input", { type: "search", placeholder: "Find an event type",
    "aria-label": "Find an event type", on: { input: () => {
      const word = search.value.trim().toLowerCase();
      list.querySelectorAll("[data-text]").forEach((one) => {
        one.hidden = !one.dataset.text.includes(word);
      });
    } } });
  sync();
  return h("fieldset", { class: "field", id: "events", data: { field: "events" } },
    h("legend", null, "Events"), all.length > SEARCHED && search, list, count,
    h("p", { class: "wrong", id: "events-error" }));
}
