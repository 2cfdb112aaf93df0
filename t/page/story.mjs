// Licensed under the Apache License, Version 2.0: see LICENSE.
// The page in a real browser, as t/60-page.t starts it. Prints a JSON line a check.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_PATH}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const world = JSON.parse(process.env.RH_PAGE);
const say = (line) => console.log(JSON.stringify(line));
const ok = (good, name, why) => say({ ok: Boolean(good), name, why: good ? undefined : String(why) });
const is = (got, expected, name) => ok(JSON.stringify(got) === JSON.stringify(expected), name,
  `got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);

const base = `${world.url}/hooks/`;
const browser = await chromium.launch({ executablePath: world.chromium, timeout: 60000,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const errors = [];

async function context(options = {}) {
  const made = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-GB",
    timezoneId: "UTC", extraHTTPHeaders: { "X-Tenant": options.tenant || "acme" }, ...options.more });
  made.setDefaultTimeout(20000);
  await made.addCookies([{ name: "session", value: "1", url: world.url }]);
  const page = await made.newPage();
  page.on("pageerror", (error) => errors.push(`${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (4|5)\d\d/.test(message.text())) {
      errors.push(message.text());
    }
  });
  return page;
}

async function api(method, path, body, role) {
  const answer = await fetch(new URL(path, base), { method, body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Tenant": "acme", Cookie: "session=1",
      ...(role ? { "X-Role": role } : {}) } });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

const publish = (type, data) => api("POST", "events", { type, data, key: "k" }, "app");
const until = async (condition) => {
  for (let i = 0; i < 300; i += 1) {
    if (await condition()) {
      return true;
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return false;
};

// ---- the story: from the empty page to a delivery that was sent again ----

const page = await context();
await page.goto(base);
await page.getByRole("heading", { name: "Get told when something happens" }).waitFor();
ok(true, "an empty page says what subscriptions are for");
await page.getByRole("button", { name: "New subscription" }).last().click();
await page.getByLabel("Target URL").fill("ftp://example.com/x");
await page.getByText("Only https:// targets can be reached.").waitFor();
ok(true, "a wrong URL is told while it is typed");
await page.getByRole("button", { name: "Subscribe" }).click();
is(await page.locator("#target").getAttribute("aria-invalid"), "true", "and not sent");
is(await page.evaluate(() => document.activeElement.id), "target", "the focus goes to what is wrong");
await page.getByLabel("Target URL").fill(world.story);
await page.getByRole("button", { name: "Subscribe" }).click();
await page.getByText("Choose at least one.").waitFor();
ok(true, "so is a missing event type");
await page.getByRole("checkbox", { name: "employee (employee.*)" }).check();
ok(await page.getByRole("checkbox", { name: "employee.created" }).isDisabled(), "a noun covers its types");
await page.getByRole("heading", { name: "Sample of employee.created" }).waitFor();
ok(true, "the sample payload stands beside it");
await page.getByText("Headers, order and pace").click();
await page.getByRole("button", { name: "Add a header" }).click();
await page.getByLabel("Header name").fill("webhook-id");
await page.getByLabel("Header value").fill("mine");
await page.getByRole("button", { name: "Subscribe" }).click();
await page.locator("#headers-error:not(:empty)").waitFor();
ok((await page.locator("#headers-error").textContent()).includes("webhook-id"),
  "what the server refuses is shown at its field");
is(await page.getByLabel("Target URL").inputValue(), world.story, "nothing that was typed is lost");
await page.getByLabel("Header name").fill("X-Token");
await page.getByRole("button", { name: "Subscribe" }).click();
const secret = await page.locator("dialog pre").textContent();
ok(/^whsec_/.test(secret), "the secret is shown");
await page.getByRole("button", { name: "Done" }).click();
await page.getByRole("heading", { name: world.story }).waitFor();
ok(true, "the subscription is there");
const id = page.url().split("/").pop();
await page.getByRole("button", { name: "Show the secret" }).click();
is(await page.locator(".secret-line pre").textContent(), secret, "with its secret, when asked for");
for (const [language, part] of [["curl", world.story], ["Node.js", "webhook.verify"],
  ["Python", "Webhook(os.environ"], ["PHP", "hash_hmac"], ["C#", "HMACSHA256"]]) {
  await page.getByRole("button", { name: language, exact: true }).click();
  ok((await page.getByLabel(`${language} example`).textContent()).includes(part), `how to receive in ${language}`);
}

await publish("employee.created", { id: 12345678901234567890n.toString(), name: "<img src=x onerror=alert(1)>" });
await page.getByRole("link", { name: "Deliveries", exact: true }).click();
await page.locator(".row.delivery .is-failed").first().waitFor();
ok(true, "the list of deliveries follows until it has failed");
await page.getByRole("link", { name: "employee.created" }).first().click();
await page.getByText("No more attempts.").waitFor();
ok((await page.locator(".why").textContent()).includes("failed while it worked"), "the delivery says why");
is(await page.locator(".timeline > .is-bad").count(), 2, "with each attempt");
ok((await page.getByLabel("Payload").textContent()).includes("<img src=x onerror=alert(1)>"),
  "markup in a payload stays text");
is(await page.locator("img").count(), 0, "and makes no elements");
await page.getByRole("button", { name: "Send again" }).click();
await page.locator(".timeline > .is-good").waitFor();
ok(true, "sent again, it arrives");
await page.getByText("It arrived at attempt 3.").waitFor();
ok(true, "which it says");
await page.getByRole("link", { name: "Subscriptions", exact: true }).first().click();
await page.getByRole("link", { name: world.story }).click();

// ---- what else can be done with a subscription ----

await page.getByRole("button", { name: "Replay" }).click();
await page.getByLabel("Send", { exact: true }).selectOption("any");
await page.getByText("1 delivery will be sent again.").waitFor();
ok(true, "a replay is counted before it is made");
await page.locator("dialog").getByRole("button", { name: "Send again" }).click();
await page.getByText("1 queued").waitFor();
ok(await until(async () => (await api("GET", `subscriptions/${id}/deliveries`))[0].attempt_count === 4),
  "then it is sent");
await page.getByRole("button", { name: "Rotate secret" }).click();
await page.getByRole("button", { name: "Make a new secret" }).click();
await page.getByText("This is the new secret.").waitFor();
ok(await page.locator("dialog pre").textContent() !== secret, "the secret can be rotated");
await page.getByRole("button", { name: "Done" }).click();
await page.getByRole("button", { name: "Pause" }).click();
await page.getByRole("button", { name: "Revive" }).click();
await page.getByRole("button", { name: "Pause" }).waitFor();
is((await api("GET", `subscriptions/${id}`)).state, "active", "it can be paused and revived");
await page.getByRole("button", { name: "Send test" }).click();
await page.getByRole("button", { name: "Send", exact: true }).click();
await page.locator(".timeline > .is-good").waitFor();
ok(true, "a test is followed to its answer");
await page.goto(`${base}#/subscriptions/${id}/edit`);
await page.getByLabel("Description").fill("Changed by hand");
await api("PATCH", `subscriptions/${id}`, { description: "by somebody else" });
await page.getByRole("button", { name: "Save" }).click();
await page.getByText("Somebody else has changed this subscription").waitFor();
ok(true, "two people's changes don't overwrite each other");
await page.goto(`${base}#/subscriptions/${id}`);
await page.getByRole("button", { name: "Unsubscribe" }).click();
await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
ok(await api("GET", `subscriptions/${id}`), "unsubscribing asks first");
await page.getByRole("button", { name: "Unsubscribe" }).click();
await page.locator("dialog").getByRole("button", { name: "Unsubscribe" }).click();
await page.getByRole("heading", { name: "Get told when something happens" }).waitFor();
ok(true, "and then does it");

// ---- an expired session ----

await page.getByRole("button", { name: "New subscription" }).last().click();
await page.getByLabel("Target URL").fill(world.story);
await page.getByRole("checkbox", { name: "employee (employee.*)" }).check();
await page.context().clearCookies();
await page.getByRole("button", { name: "Subscribe" }).click();
await page.getByText("Your session has ended.").first().waitFor();
is(await page.getByLabel("Target URL").inputValue(), world.story, "when the session ends, what was typed stays");
await page.context().addCookies([{ name: "session", value: "1", url: world.url }]);
await page.getByRole("button", { name: "Try again" }).click();
await page.getByRole("button", { name: "Subscribe" }).click();
await page.getByRole("button", { name: "Done" }).click();
ok(await until(async () => await page.locator("#alerts .alert").count() === 0), "and goes on after the next login");

// ---- by keyboard alone ----

await page.goto(`${base}#/subscriptions`);
await page.reload();
await page.getByRole("link", { name: world.story }).waitFor();
await page.keyboard.press("Tab");
is(await page.evaluate(() => document.activeElement.id), "skip", "the first stop skips to the content");
for (let i = 0; i < 30; i += 1) {
  if (await page.evaluate(() => document.activeElement.className.includes("row-link"))) {
    break;
  }
  await page.keyboard.press("Tab");
}
await page.keyboard.press("Enter");
await page.getByRole("button", { name: "Send test" }).waitFor();
await page.getByRole("button", { name: "Unsubscribe" }).focus();
await page.keyboard.press("Enter");
await page.locator("dialog").waitFor();
await page.keyboard.press("Escape");
ok(await until(async () => await page.locator("dialog").count() === 0), "keys open and close what the mouse does");
ok(await until(() => page.evaluate(() => document.activeElement.textContent === "Unsubscribe")),
  "and the focus comes back");
await page.context().close();

// ---- all views, with much in them ----

const long = `${world.good}/${"long-path-segment/".repeat(16)}end`;
const made = [];
for (const [target_url, more] of [[world.good, { description: "Payroll" }], [world.bad, { description: "Legacy ERP" }],
  [long, { events: ["*"], description: "A URL of three hundred characters" }],
  [world.gone, { events: ["employee.deleted"] }], [`${world.good}?paused`, { active: false }]]) {
  made.push(await api("POST", "subscriptions", { target_url, events: ["employee.*"], ...more }));
}
for (let i = 0; i < 40; i += 1) {
  await publish(["employee.created", "employee.updated", "employee.deleted"][i % 3],
    { id: i, name: "Ada Lovelace", note: "x".repeat(i * 20) });
}
await publish("lonely.event", { id: 1 });
ok(await until(async () => (await api("GET", `subscriptions/${made[3].id}`)).state === "gone"), "a target is gone");
const failed = await (async () => {
  await until(async () => (await api("GET", `subscriptions/${made[1].id}/deliveries?state=failed`)).length > 0);
  return (await api("GET", `subscriptions/${made[1].id}/deliveries?state=failed`))[0];
})();
const views = [["subscriptions", "#/subscriptions"], ["subscription", `#/subscriptions/${made[0].id}`],
  ["subscription-gone", `#/subscriptions/${made[3].id}`], ["subscription-long", `#/subscriptions/${made[2].id}`],
  ["new", "#/subscriptions/new"], ["edit", `#/subscriptions/${made[2].id}/edit`], ["deliveries", "#/deliveries"],
  ["delivery", `#/deliveries/${failed.id}`], ["events", "#/events"], ["event", `#/events/${failed.event_id}`],
  ["charts", "#/charts"]];
mkdirSync(world.screenshots, { recursive: true });
for (const [name, colorScheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["phone", "light", 360]]) {
  const one = await context({ more: { colorScheme, viewport: { width, height: 900 } } });
  for (const [view, hash] of views) {
    await one.goto(base + hash);
    await one.locator("main h1").waitFor();
    await one.waitForLoadState("networkidle");
    await one.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finish())));
    await one.screenshot({ path: `${world.screenshots}/${view}-${name}.png`, fullPage: true });
    const over = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    ok(over <= 0, `${view}, ${name}: nothing is wider than the window`, `${over} px`);
    await one.evaluate(axe);
    const { violations } = await one.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    ok(serious.length === 0, `${view}, ${name}: axe finds nothing serious`,
      serious.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`).join("\n"));
  }
  await one.context().close();
}

// ---- filters and pages ----

const filters = await context();
await filters.goto(`${base}#/deliveries`);
await filters.locator(".row.delivery").first().waitFor();
await filters.getByLabel("State").selectOption("failed");
await filters.locator(".row.delivery .is-failed").first().waitFor();
ok(await until(async () => await filters.locator(".row.delivery .badge:not(.is-failed)").count() === 0),
  "a filter leaves what is like that");
ok(filters.url().includes("state=failed"), "and is in the address");
await filters.goto(`${base}#/deliveries?status=500`);
ok(await until(async () => await filters.locator(".code").first().textContent() === "500"), "also one by status code");
await filters.goto(`${base}#/deliveries`);
await filters.getByRole("button", { name: "Older" }).click();
await filters.getByRole("button", { name: "Newest" }).waitFor();
ok(true, "long lists have pages");
await filters.goto(`${base}#/events`);
await filters.getByRole("link", { name: "lonely.event" }).waitFor();
ok(true, "an event that concerns one subscription alone is in the log");
const other = await context({ tenant: "nobody-yet" });
await other.goto(`${base}#/events`);
await other.getByRole("heading", { name: "No events" }).waitFor();
ok(true, "another tenant sees nothing of it");
await other.goto(`${base}#/deliveries/${failed.id}`);
await other.getByText("This could not be loaded").waitFor();
ok(true, "nor by the address");

is(errors, [], "the console holds no error, and the policy stopped nothing");
await browser.close();
