/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Small charts for lists. */
import { h, s } from "./dom.js";
import { number } from "./format.js";

export const sum = (list) => (list || []).reduce((total, value) => total + value, 0);

/** Bars of deliveries that succeeded and failed on the last day, without axes. */
export function sparkline(row, hours = 24) {
  const delivered = row ? row.delivered : [], failed = row ? row.failed : [];
  const most = Math.max(1, ...delivered.map((value, i) => value + (failed[i] || 0)));
  const svg = s("svg", { class: "sparkline", viewBox: `0 0 ${hours * 6 - 1} 26`, role: "img",
    preserveAspectRatio: "none", "aria-label": `Last 24 hours: ${number(sum(delivered))} `
      + `delivered, ${number(sum(failed))} failed` });
  const bar = (i, from, height, kind) => svg.append(s("rect", { x: i * 6, y: 26 - from - height,
    width: 5, height, class: `fill-${kind}` }));
  for (let i = 0; i < hours; i += 1) {
    const good = ((delivered[i] || 0) / most) * 26, bad = ((failed[i] || 0) / most) * 26;
    const below = good > 0 ? Math.max(1.5, good) : 0;
    if (below) {
      bar(i, 0, below, "delivered");
    }
    if (bad > 0) {
      bar(i, Math.min(below, 24), Math.max(2, bad), "failed");
    }
    if (!below && bad <= 0) {
      bar(i, 0, 1, "none");
    }
  }
  return svg;
}

/** The shares of delivered and failed. */
export function shareBar(delivered, failed) {
  const part = (count, kind) => {
    const element = h("i", { class: `fill-${kind}` });
    element.style.flexGrow = count;
    return element;
  };
  return h("div", { class: "share", "aria-hidden": "true" },
    delivered > 0 && part(delivered, "delivered"), failed > 0 && part(failed, "failed"));
}
