/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Elements are built, never parsed, so text stays text whatever it contains. */

const SVG = "http://www.w3.org/2000/svg";

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/**
 * An HTML element. Properties: `on` is {event: listener}, `data` the dataset, `class` a string;
 * true sets an attribute without a value, false, null and undefined none.
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "value" || name === "checked" || name === "selected") {
      element[name] = value;
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  return append(element, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  return append(element, children);
}

/** Replace the contents of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

const PATHS = {
  plus: "M12 5v14M5 12h14", back: "M15 5l-7 7 7 7", next: "M9 5l7 7-7 7",
  copy: "M9 9h10v10H9zM5 15V5h10", play: "M8 5l11 7-11 7z", pause: "M8 5v14M16 5v14",
  send: "M4 12l16-8-6 16-3-6z", edit: "M4 20h4L19 9l-4-4L4 16z",
  key: "M14 10a4 4 0 1 0-3 3.9V17h3v3h3v-3l-2.2-2.2M8 8h.01",
  replay: "M4 12a8 8 0 1 0 3-6.2M4 4v5h5", trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  check: "M5 13l4 4L19 7", cross: "M6 6l12 12M18 6L6 18",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM20 20l-4.8-4.8",
  warn: "M12 4L2.8 20h18.4zM12 10v4.5M12 17.3h.01",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
  done: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM8 12.2l2.8 2.8L16 9.5",
  stop: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM8.5 8.5l7 7",
  up: "M5 15l7-7 7 7", down: "M5 9l7 7 7-7", terminal: "M4 6l6 6-6 6M12 18h8",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
};

/** An icon beside a word, or in a button that has a label. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
    s("path", { d: PATHS[name] }));
}

/** A button. Options: class, icon, disabled, type, label (for one without a word), more. */
export function button(text, click, options = {}) {
  return h("button", {
    type: options.type || "button",
    class: `button ${options.class || ""}${text ? "" : " only-icon"}`.trim(),
    disabled: options.disabled, "aria-label": options.label, title: options.label,
    on: click ? { click } : {}, ...options.more,
  }, options.icon && icon(options.icon), text && h("span", null, text));
}

/** A field with its label, a hint below it, and room for an error. */
export function field(id, label, control, hint) {
  control.id = id;
  const described = `${id}-hint ${id}-error`;
  control.setAttribute("aria-describedby", described);
  return h("div", { class: "field", data: { field: id } },
    h("label", { for: id }, label), control,
    h("p", { class: "hint", id: `${id}-hint` }, hint),
    h("p", { class: "wrong", id: `${id}-error` }));
}

/** Likewise, of a box to tick: label and hint stand beside it. */
export function checkbox(id, label, control, hint) {
  control.id = id;
  return h("div", { class: "field", data: { field: id } },
    h("label", { class: "check" }, control, h("span", null, h("strong", null, label),
      h("span", { class: "faint" }, ` ${hint}`))),
    h("p", { class: "wrong", id: `${id}-error` }));
}

/** Show or clear the error of a field. */
export function complain(form, id, text) {
  const control = form.querySelector(`#${CSS.escape(id)}`);
  const place = form.querySelector(`#${CSS.escape(id)}-error`);
  if (place) {
    place.textContent = text || "";
  }
  if (control) {
    control.toggleAttribute("aria-invalid", Boolean(text));
    if (text) {
      control.setAttribute("aria-invalid", "true");
    }
  }
  return control;
}

/** A list to choose from: options are [value, text]. */
export function select(label, options, value, change) {
  return h("select", { "aria-label": label, class: value ? "is-set" : "", on: { change } },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
}
