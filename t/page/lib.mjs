// Licensed under the Apache License, Version 2.0: see LICENSE.
// What the parts of the story share: checks, a browser, and the API beside it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_PATH}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TIMEOUT = 60000;

/** Settings from t/60-page.t: addresses, paths, and the directory for pictures. */
export const world = JSON.parse(process.env.RH_PAGE);
export const base = `${world.url}/hooks/`;
/** Unexpected messages of the console. */
export const errors = [];

/** Print a check as a JSON line, which t/60-page.t turns into TAP. */
export function ok(good, name, why) {
  console.log(JSON.stringify({ ok: Boolean(good), name, why: good ? undefined : String(why) }));
}

export const is = (got, expected, name) => ok(JSON.stringify(got) === JSON.stringify(expected),
  name, `got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Wait until a condition holds; return whether it did. */
export async function until(condition, ms = 40000) {
  for (const end = Date.now() + ms; Date.now() < end; await pause(100)) {
    if (await condition()) {
      return true;
    }
  }
  return false;
}

/** Call the API as its tenant; `body` is text that is sent unchanged, or any JSON value. */
export async function api(method, path, body, role, tenant = "acme") {
  const answer = await fetch(new URL(path, base), { method, signal: AbortSignal.timeout(TIMEOUT),
    body: typeof body === "object" ? JSON.stringify(body) : body,
    headers: { "Content-Type": method === "PATCH" ? "application/merge-patch+json"
      : "application/json", "X-Tenant": tenant, Cookie: "session=1",
    ...(role ? { "X-Role": role } : {}) } });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

export const publish = (type, data, key = "k") => api("POST", "events", typeof data === "string"
  ? `{"type":"${type}","key":"${key}","data":${data}}` : { type, data, key }, "app");

const browser = await chromium.launch({ executablePath: world.chromium, timeout: 60000,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
export const close = () => browser.close();

/** Open a page with a session of its own. */
export async function open({ tenant = "acme", ...more } = {}) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB",
    timezoneId: "UTC", extraHTTPHeaders: { "X-Tenant": tenant }, ...more });
  made.setDefaultTimeout(TIMEOUT);
  await made.addCookies([{ name: "session", value: "1", url: world.url }]);
  const page = await made.newPage();
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (4|5)\d\d|ERR_FAILED/.test(message.text())) {
      errors.push(message.text());
    }
  });
  return page;
}

/** Report the serious findings of axe. */
export async function axeCheck(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  ok(serious.length === 0, name, serious.map((one) => `${one.id}: ${one.nodes.slice(0, 3)
    .map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`).join("\n"));
}
