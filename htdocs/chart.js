/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/*
 * Charts as SVG: bars by outcome, lines of percentiles. Usable by pointer, by keyboard, or as a
 * table.
 */
import { fill, h, s } from "./dom.js";
import { duration, full, number } from "./format.js";

const LEFT = 52, RIGHT = 4, TOP = 8, BOTTOM = 24;
export const STATES = ["delivered", "pending", "failed", "cancelled"];
const PERCENTILES = [["p50", "median"], ["p90", "90 % within"], ["p99", "99 % within"]];
const TICKS = [300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000];
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit",
  hourCycle: "h23" });

/** Seconds that local time is ahead of UTC. */
const ahead = (time) => -new Date(time).getTimezoneOffset() * 60;

/** Find whole hours, or days, of local time for the axis: [time, label]. */
function timeTicks(from, to, most) {
  const wanted = (to - from) / 1000 / most;
  const step = TICKS.find((size) => size >= wanted) || TICKS[TICKS.length - 1];
  const found = [];
  for (let time = from; time <= to;) {
    const past = (time / 1000 + ahead(time)) % step;
    if (past >= 1) {
      time += (step - past) * 1000;
      continue;
    }
    const label = step >= 86400 || HOUR.format(time) === "00:00" ? DAY.format(time)
      : HOUR.format(time);
    found.push([time, label]);
    time += step * 1000;
  }
  return found;
}

/** Return the smallest number not below this one whose quarters are integers. */
function quartered(value) {
  const size = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return [4, 8, 12, 16, 20, 24, 28, 32, 40, 60, 80, 100, 120].map((step) => step * size)
    .find((step) => step >= value);
}

/** The time of a bucket in words. */
function spanOf(stats, bucket) {
  const from = Date.parse(bucket.time), to = from + stats.step * 1000;
  const day = `${DAY.format(from)}, `;
  return stats.step >= 86400 ? DAY.format(from) : `${day}${HOUR.format(from)}–${HOUR.format(to)}`;
}

/**
 * A chart, which is redrawn when its width changes.
 * stats: of /stats. shape: {title, height, ticks, y: value -> 0..1, format, rows: bucket ->
 * [[class, name, text]], paint(svg, at), open(bucket) or null}
 */
function chart(stats, shape) {
  const count = stats.buckets.length;
  const from = Date.parse(stats.buckets[0].time), to = from + count * stats.step * 1000;
  const tip = h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
  const spoken = h("p", { class: "hidden", "aria-live": "polite" });
  const box = h("div", { class: `chart-box${shape.open ? " opens" : ""}`, tabindex: "0", role: "group",
    "aria-label": `${shape.title}. Left and right arrow keys read its values${
      shape.open ? ", Enter shows the deliveries" : ""}.` });
  let wide = 0, chosen = -1, mark = null;

  const draw = (width) => {
    wide = width;
    const { height } = shape;
    const at = {
      x: (i) => LEFT + (i * (wide - LEFT - RIGHT)) / count,
      y: (value) => TOP + (height - TOP - BOTTOM) * (1 - shape.y(value)),
      width: (wide - LEFT - RIGHT) / count, bottom: height - BOTTOM,
    };
    const svg = s("svg", { class: "chart", viewBox: `0 0 ${wide} ${height}`, height,
      "aria-hidden": "true" });
    mark = s("rect", { class: "mark", y: TOP, width: Math.max(2, at.width),
      height: height - TOP - BOTTOM, visibility: "hidden" });
    svg.append(mark);
    shape.ticks.forEach((value, i) => {
      const y = Math.round(at.y(value)) + 0.5;
      svg.append(s("line", { x1: LEFT, x2: wide - RIGHT, y1: y, y2: y,
        class: i ? "grid" : "axis" }),
      s("text", { x: LEFT - 7, y: y + 4, "text-anchor": "end" }, shape.format(value)));
    });
    for (const [time, label] of timeTicks(from, to, Math.max(2, (wide - LEFT) / 76))) {
      const x = at.x((time - from) / 1000 / stats.step);
      if (x <= wide - RIGHT - 16) {
        svg.append(s("line", { x1: x, x2: x, y1: at.bottom, y2: at.bottom + 4, class: "axis" }),
          s("text", { x, y: height - 6, "text-anchor": x < LEFT + 12 ? "start" : "middle" },
            label));
      }
    }
    shape.paint(svg, at);
    fill(box, svg, tip, spoken);
  };

  const choose = (i, aloud) => {
    chosen = i;
    tip.hidden = i < 0;
    mark.setAttribute("visibility", i < 0 ? "hidden" : "visible");
    if (i < 0) {
      return;
    }
    const bucket = stats.buckets[i];
    const x = LEFT + (i * (wide - LEFT - RIGHT)) / count;
    mark.setAttribute("x", x);
    const rows = shape.rows(bucket);
    fill(tip, h("p", null, spanOf(stats, bucket)), rows.length
      ? h("ul", null, rows.map(([kind, name, text]) => h("li", null,
        kind && h("i", { class: kind }), name, h("b", null, text))))
      : h("span", { class: "faint" }, shape.nothing));
    const right = x > wide * 0.6;
    tip.style.left = right ? "auto" : `${x + (wide - LEFT - RIGHT) / count + 8}px`;
    tip.style.right = right ? `${wide - x + 8}px` : "auto";
    if (aloud) {
      spoken.textContent = `${spanOf(stats, bucket)}: ${rows.map(([, name, text]) =>
        `${name} ${text}`).join(", ") || shape.nothing}`;
    }
  };
  const under = (event) => {
    const area = box.getBoundingClientRect();
    const i = Math.floor(((event.clientX - area.left - LEFT) / (wide - LEFT - RIGHT)) * count);
    return i >= 0 && i < count ? i : -1;
  };
  box.addEventListener("pointermove", (event) => choose(under(event), false));
  box.addEventListener("pointerleave", () => choose(-1, false));
  box.addEventListener("blur", () => choose(-1, false));
  if (shape.open) {
    box.addEventListener("click", (event) => under(event) >= 0 &&
      shape.open(stats.buckets[under(event)]));
  }
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: chosen + 1, ArrowLeft: chosen < 0 ? count - 1 : chosen - 1,
      Home: 0, End: count - 1 };
    if (event.key in moves) {
      event.preventDefault();
      choose(Math.min(count - 1, Math.max(0, moves[event.key])), true);
    } else if (event.key === "Escape") {
      choose(-1, false);
    } else if (event.key === "Enter" && chosen >= 0 && shape.open) {
      shape.open(stats.buckets[chosen]);
    }
  });
  new ResizeObserver(() => {
    const now = Math.round(box.clientWidth);
    if (now > 0 && now !== wide) {
      draw(now);
    }
  }).observe(box);
  return box;
}

/** Show the same numbers as a table, to read or copy. */
function table(stats, columns) {
  return h("details", { class: "as-table" }, h("summary", null, "As a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers" },
      h("table", null, h("thead", null, h("tr", null, h("th", { scope: "col" }, "From"),
        columns.map(([name]) => h("th", { scope: "col" }, name)))),
      h("tbody", null, stats.buckets.map((bucket) => h("tr", null,
        h("th", { scope: "row" }, full(bucket.time)),
        columns.map(([, value]) => h("td", null, value(bucket)))))))));
}

function panel(title, legend, more, ...content) {
  return h("section", { class: "panel" }, h("div", { class: "section-head" }, h("h2", null, title),
    h("ul", { class: "legend" }, legend.map(([kind, text]) =>
      h("li", null, h("i", { class: kind, "aria-hidden": "true" }), text)),
    more && h("li", null, more))), content);
}

/**
 * Deliveries by outcome. open(bucket): called when a bar is clicked. more: a link beside the
 * legend.
 */
export function outcomes(stats, title, open, more) {
  const total = (bucket) => STATES.reduce((sum, state) => sum + bucket[state], 0);
  const top = quartered(Math.max(4, ...stats.buckets.map(total)));
  const shape = {
    title, height: 210, ticks: [0, 1, 2, 3, 4].map((part) => (top * part) / 4), format: number,
    y: (value) => value / top, nothing: "no deliveries", open,
    rows: (bucket) => STATES.filter((state) => bucket[state])
      .map((state) => [`fill-${state}`, state, number(bucket[state])]),
    paint: (svg, at) => stats.buckets.forEach((bucket, i) => {
      const gap = at.width > 4 ? Math.min(2, at.width / 4) : 0.5;
      let sum = 0;
      for (const state of STATES) {
        if (bucket[state]) {
          const y = at.y(sum + bucket[state]);
          svg.append(s("rect", { x: at.x(i) + gap / 2, y, width: Math.max(1, at.width - gap),
            height: Math.max(1, at.y(sum) - y), class: `fill-${state}` }));
          sum += bucket[state];
        }
      }
    }),
  };
  return panel(title, STATES.map((state) => [`fill-${state}`, state]), more, chart(stats, shape),
    table(stats, STATES.map((state) => [state, (bucket) => number(bucket[state])])));
}

/** Percentiles of the duration of attempts; each grid line is ten times the one below. */
export function latencies(stats, title) {
  const most = Math.max(100, ...stats.buckets.map((bucket) => bucket.p99 || 0));
  const decades = Math.ceil(Math.log10(most));
  const shape = {
    title, height: 210, format: duration, nothing: "no attempts",
    ticks: Array.from({ length: decades + 1 }, (_, i) => 10 ** i),
    y: (value) => Math.log10(Math.max(1, value)) / decades,
    rows: (bucket) => (bucket.attempts ? [...PERCENTILES.map(([name, text]) =>
      [`line-${name}`, text, duration(bucket[name])]), ["", "attempts", number(bucket.attempts)]]
      : []),
    paint: (svg, at) => {
      for (const [name] of [...PERCENTILES].reverse()) {
        let path = "", pen = false;
        stats.buckets.forEach((bucket, i) => {
          if (bucket[name] !== null) {
            const place = `${(at.x(i) + at.width / 2).toFixed(1)} ${at.y(bucket[name]).toFixed(1)}`;
            const alone = !pen && (i + 1 === stats.buckets.length
              || stats.buckets[i + 1][name] === null);
            path += pen ? `L${place}` : `M${place}`;
            if (alone) {
              svg.append(s("path", { d: `M${place}h.01`, class: `line dot line-${name}` }));
            }
          }
          pen = bucket[name] !== null;
        });
        svg.append(s("path", { d: path, class: `line line-${name}` }));
      }
    },
  };
  return panel(title, PERCENTILES.map(([name, text]) => [`line-${name}`, text]), null,
    chart(stats, shape),
    table(stats, [["attempts", (bucket) => number(bucket.attempts)],
      ...PERCENTILES.map(([name, text]) => [text, (bucket) => duration(bucket[name])])]));
}
