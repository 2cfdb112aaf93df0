/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Charts as SVG: bars by outcome, lines of percentiles, and small ones for lists. */
import { fill, h, s } from "./dom.js";
import { clock, duration, number } from "./format.js";

const HEIGHT = 220, LEFT = 48, BOTTOM = 26, TOP = 10, RIGHT = 8;
const STATES = ["delivered", "pending", "failed", "cancelled"];

/** Bars of what was delivered and what failed, without axes. */
export function sparkline(row, hours) {
  const bars = hours || 24;
  const delivered = row ? row.delivered : [], failed = row ? row.failed : [];
  const most = Math.max(1, ...delivered.map((value, i) => value + (failed[i] || 0)));
  const sum = (list) => list.reduce((total, value) => total + value, 0);
  const svg = s("svg", { class: "sparkline", viewBox: `0 0 ${bars * 5} 28`, role: "img",
    preserveAspectRatio: "none",
    "aria-label": `Last 24 hours: ${number(sum(delivered))} delivered, ${number(sum(failed))} failed` });
  for (let i = 0; i < bars; i += 1) {
    const good = ((delivered[i] || 0) / most) * 26, bad = ((failed[i] || 0) / most) * 26;
    svg.append(s("rect", { x: i * 5, y: 27, width: 4, height: 1, class: "fill-none" }));
    if (good > 0) {
      svg.append(s("rect", { x: i * 5, y: 28 - Math.max(1.5, good), width: 4,
        height: Math.max(1.5, good), class: "fill-delivered" }));
    }
    if (bad > 0) {
      svg.append(s("rect", { x: i * 5, y: 28 - good - Math.max(1.5, bad), width: 4,
        height: Math.max(1.5, bad), class: "fill-failed" }));
    }
  }
  return svg;
}

/** A round number at or above this one. */
function ceiling(value) {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 2.5, 5, 10].map((step) => step * size).find((step) => step >= value);
}

/** A number at or above this one whose quarters are whole. */
function quartered(value) {
  const size = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return [4, 8, 12, 16, 20, 24, 28, 32, 40, 60, 80, 100, 120].map((step) => step * size)
    .find((step) => step >= value);
}

function label(time, step) {
  const date = new Date(time);
  return step >= 86400 || (step >= 14400)
    ? date.toLocaleDateString(undefined, { month: "short", day: "numeric" })
    : clock(time).slice(0, 5);
}

/** Axes, and what is said of the bucket below the pointer or the focus. */
function frame(place, stats, top, format, title, describe) {
  const wide = Math.max(280, Math.min(1200, place.clientWidth || 720));
  const count = stats.buckets.length;
  const x = (i) => LEFT + (i * (wide - LEFT - RIGHT)) / count;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const svg = s("svg", { class: "chart", viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img",
    "aria-label": title });
  for (let i = 0; i <= 4; i += 1) {
    const value = (top * i) / 4;
    svg.append(s("line", { x1: LEFT, x2: wide - RIGHT, y1: y(value), y2: y(value),
      class: "grid" }), s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" },
      format(value)));
  }
  const every = Math.ceil(count / Math.max(2, Math.min(8, Math.floor(wide / 110))));
  for (let i = 0; i < count; i += every) {
    svg.append(s("text", { x: x(i), y: HEIGHT - 8 }, label(stats.buckets[i].time, stats.step)));
  }
  const note = h("p", { class: "chart-note", "aria-live": "polite" });
  const mark = s("rect", { class: "mark", y: TOP, width: (wide - LEFT - RIGHT) / count,
    height: HEIGHT - TOP - BOTTOM, visibility: "hidden" });
  const show = (i) => {
    mark.setAttribute("x", x(i));
    mark.setAttribute("visibility", "visible");
    note.textContent = `${new Date(stats.buckets[i].time).toLocaleString()}: ${describe(stats.buckets[i])}`;
  };
  svg.prepend(mark);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * wide;
    const i = Math.floor(((at - LEFT) / (wide - LEFT - RIGHT)) * count);
    if (i >= 0 && i < count) {
      show(i);
    }
  });
  svg.addEventListener("pointerleave", () => mark.setAttribute("visibility", "hidden"));
  return { svg, note, x, y, width: (wide - LEFT - RIGHT) / count };
}

/** The same numbers for whoever does not see the picture. */
function table(stats, columns) {
  return h("details", { class: "as-table" }, h("summary", null, "As a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers" },
      h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "From"),
        columns.map(([name]) => h("th", { scope: "col" }, name)))),
      h("tbody", null, stats.buckets.map((bucket) => h("tr", null,
        h("th", { scope: "row" }, new Date(bucket.time).toLocaleString()),
        columns.map(([, value]) => h("td", null, value(bucket)))))))));
}

function legend(entries) {
  return h("ul", { class: "legend" }, entries.map(([kind, text]) =>
    h("li", null, h("i", { class: `key-${kind}`, "aria-hidden": "true" }), text)));
}

/** Deliveries by outcome. */
export function outcomes(place, stats) {
  const total = (bucket) => STATES.reduce((sum, state) => sum + bucket[state], 0);
  const top = quartered(Math.max(4, ...stats.buckets.map(total)));
  const say = (bucket) => STATES.filter((state) => bucket[state])
    .map((state) => `${number(bucket[state])} ${state}`).join(", ") || "nothing";
  const chart = frame(place, stats, top, number, "Deliveries by outcome over time", say);
  stats.buckets.forEach((bucket, i) => {
    let sum = 0;
    for (const state of STATES) {
      if (bucket[state]) {
        const from = chart.y(sum + bucket[state]);
        chart.svg.append(s("rect", { x: chart.x(i) + 1, y: from,
          width: Math.max(1, chart.width - 2), height: Math.max(1, chart.y(sum) - from),
          class: `fill-${state}` }));
        sum += bucket[state];
      }
    }
  });
  fill(place, legend(STATES.map((state) => [state, state])), chart.svg, chart.note,
    table(stats, STATES.map((state) => [state, (bucket) => number(bucket[state])])));
}

/** Percentiles of how long attempts took. */
export function latencies(place, stats) {
  const names = ["p99", "p90", "p50"];
  const top = ceiling(Math.max(10, ...stats.buckets.map((bucket) => bucket.p99 || 0)));
  const say = (bucket) => bucket.attempts
    ? `${number(bucket.attempts)} attempts; median ${duration(bucket.p50)}, 90 % within ${duration(bucket.p90)}, 99 % within ${duration(bucket.p99)}`
    : "no attempts";
  const chart = frame(place, stats, top, (value) => duration(Math.round(value)),
    "Duration of attempts over time", say);
  for (const name of names) {
    let path = "", pen = false;
    stats.buckets.forEach((bucket, i) => {
      if (bucket[name] === null) {
        pen = false;
        return;
      }
      const x = chart.x(i) + chart.width / 2, y = chart.y(bucket[name]);
      path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = true;
      chart.svg.append(s("circle", { cx: x, cy: y, r: 2.2, class: `dot-${name}` }));
    });
    chart.svg.append(s("path", { d: path, class: `line-${name}` }));
  }
  fill(place, legend([["p50", "median"], ["p90", "90 %"], ["p99", "99 %"]]), chart.svg, chart.note,
    table(stats, [["Attempts", (bucket) => number(bucket.attempts)],
      ...names.reverse().map((name) => [name, (bucket) => duration(bucket[name])])]));
}
