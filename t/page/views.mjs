// Licensed under the Apache License, Version 2.0: see LICENSE.
// Every view with much in it: light, dark and on a phone; filters, pages, and other tenants.
import { mkdirSync } from "node:fs";
import { api, axeCheck, base, is, ok, open, publish, until, world } from "./lib.mjs";

const TYPES = ["employee.created", "employee.updated", "employee.deleted"];
const long = `${world.good}/${"long-path-segment/".repeat(20)}`.slice(0, 300);

async function fill() {
  const made = {};
  for (const [name, target_url, more] of [
    ["good", world.good, { description: "Payroll" }],
    ["bad", world.bad, { description: "Legacy ERP – München" }],
    ["long", long, { events: ["*"], format: "cloudevents", headers: { "X-Token": "t0k3n" } }],
    ["gone", world.gone, { events: ["employee.deleted"], description: "Benefits portal" }],
    ["paused", `${world.good}?paused`, { active: false, description: "Zapier: new joiners" }]]) {
    made[name] = await api("POST",
      "subscriptions", { target_url, events: ["employee.*"], ...more });
  }
  for (let i = 0; i < 40; i += 1) {
    await publish(TYPES[i % 3], { id: i, name: "Ada Lovelace", email: "ada@example.com",
      note: "x".repeat(i * 20) }, String(i));
  }
  await publish("lonely.event", { id: 1 });
  await api("PATCH", `subscriptions/${made.long.id}`, { events: TYPES });
  await publish("lonely.event", { id: 2 });
  ok(await until(async () => (await api("GET", `subscriptions/${made.gone.id}`)).state === "gone"),
    "a target is gone");
  const list = `subscriptions/${made.bad.id}/deliveries?state=failed`;
  ok(await until(async () => (await api("GET", list)).length > 0), "a target has failed");
  await until(async () => (await api("GET",
    `subscriptions/${made.good.id}/deliveries?state=pending`)).length === 0);
  return { made, failed: (await api("GET", list))[0] };
}

/** The changes of an event, beside the earlier values. */
async function changed() {
  const one = await api("POST", "events", '{"type":"employee.updated","key":"7","data":{"id":7,'
    + '"name":"Ada King","home":{"city":"Ockham","no":1},"salary":12345678901234567890},'
    + '"previous":{"name":"Ada Lovelace","home":{"city":"London"},"phone":"1815","salary":null}}',
  "app");
  const page = await open();
  await page.goto(`${base}#/events/${one.id}`);
  await page.locator(".changes tbody tr").first().waitFor();
  is(await page.locator(".changes tbody tr").evaluateAll((rows) => rows.map((row) =>
    [...row.cells].map((cell) => cell.textContent.replace(/\s+/g, "")).join(" "))), [
    'name "AdaLovelace" "AdaKing"', 'home.city "London" "Ockham"', 'phone "1815" none',
    "salary none 12345678901234567890"],
  "an event with previous data shows what changed, side by side, to the digit");
  await page.context().close();
  return one;
}

async function pictures({ made, failed }) {
  const difference = await changed();
  const alone = (await api("GET", "events?type=lonely.event"))[0];
  const views = [["subscriptions", "#/subscriptions"],
    ["subscription", `#/subscriptions/${made.good.id}`],
    ["subscription-failing", `#/subscriptions/${made.bad.id}`],
    ["subscription-gone", `#/subscriptions/${made.gone.id}`],
    ["subscription-long", `#/subscriptions/${made.long.id}`],
    ["new", "#/subscriptions/new"], ["edit", `#/subscriptions/${made.long.id}/edit`],
    ["deliveries", "#/deliveries"], ["delivery", `#/deliveries/${failed.id}`],
    ["events", "#/events"], ["event", `#/events/${failed.event_id}`],
    ["event-changes", `#/events/${difference.id}`],
    ["event-unmatched", `#/events/${alone.id}`], ["charts", "#/charts"]];
  const past = world.history ? [["day-subscriptions", "#/subscriptions"], ["day-charts",
    "#/charts"],
    ["day-subscription", `#/subscriptions/${world.history.failing}`]] : [];
  mkdirSync(world.screenshots, { recursive: true });
  for (const [name, colorScheme, width] of [["light", "light", 1280], ["dark", "dark", 1280],
    ["phone", "light", 360]]) {
    const look = { colorScheme, viewport: { width, height: 900 } };
    const pages = [[await open(look), views], [await open({ tenant: "acme-history", ...look }), past]];
    for (const [page, view, hash] of pages.flatMap(([page, list]) =>
      list.map((one) => [page, ...one]))) {
      await page.goto(base + hash);
      await page.locator("main h1").waitFor();
      await page.waitForLoadState("networkidle");
      await until(async () => await page.locator(".loading").count() === 0);
      await page.evaluate(() => Promise.all(document.getAnimations()
        .map((animation) => animation.finish())));
      await page.screenshot({ path: `${world.screenshots}/${view}-${name}.png`,
        fullPage: view !== "deliveries" && view !== "events" });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      ok(over <= 0, `${view}, ${name}: nothing is wider than the window`, `${over} px`);
      await axeCheck(page, `${view}, ${name}: axe finds nothing serious`);
    }
    await Promise.all(pages.map(([page]) => page.context().close()));
  }
}

/** Charts of a day with known numbers. */
async function charts() {
  const page = await open({ tenant: "acme-history" });
  await page.goto(`${base}#/charts`);
  const tile = async (name) => page.locator(".tile", { hasText: name }).locator("dd").textContent();
  await page.locator(".tile").first().waitFor();
  is([await tile("Delivered"), await tile("Failed")],
    [String(world.history.delivered), String(world.history.failed)], "the numbers of a day add up");
  ok(await page.locator("rect.fill-delivered").count() > 60,
    "there is a bar for each quarter of an hour");
  is(await page.locator(".row.is-shares .row-link").first().textContent(), "Legacy ERP",
    "the subscription with most failures comes first");
  const box = await page.locator(".chart-box").first().boundingBox();
  await page.mouse.move(box.x + box.width - 60, box.y + 80);
  await page.locator(".chart-tip", { hasText: "delivered" }).first().waitFor();
  ok(true, "pointing at a bar shows its values");
  await page.mouse.click(box.x + box.width - 60, box.y + 80);
  await page.locator(".row.is-deliveries").first().waitFor();
  ok(/from=.*to=/.test(page.url()), "a click shows its deliveries");
  await page.goto(`${base}#/subscriptions/${world.history.failing}`);
  await page.getByRole("link", { name: "All charts" }).click();
  await page.getByRole("heading", { name: "How long the targets took to answer" }).waitFor();
  ok(await until(async () => await page.getByLabel("Subscription")
    .evaluate((list) => list.selectedOptions[0].textContent) === "Legacy ERP"),
  "a subscription links to its charts");
  await page.goto(`${base}#/charts?range=1h`);
  await page.getByRole("button", { name: "7 days" }).click();
  await page.getByRole("button", { name: "7 days", pressed: true }).waitFor();
  ok(page.url().includes("range=7d"), "the time of charts is in the address");
  await page.context().close();
}

/** 100,000 deliveries: every way to look at them comes to its end. How long each takes is printed,
 * and judged by nobody. */
async function many() {
  const page = await open({ tenant: "acme-many" });
  const rows = page.locator(".row.is-deliveries");
  let began = Date.now();
  const took = (name) => {
    ok(true, `of 100,000 deliveries: ${name}`);
    console.log(`${Date.now() - began} ms`);
    began = Date.now();
  };
  await page.goto(`${base}#/deliveries`);
  await rows.first().waitFor();
  took("the latest are shown");
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByRole("button", { name: "Newest" }).waitFor();
  await rows.first().waitFor();
  took("older ones are shown");
  await page.goto(`${base}#/deliveries?state=failed`);
  await until(async () => await rows.count() === world.many.failed);
  is(await rows.count(), world.many.failed, "of 100,000 deliveries the few that failed are found");
  took("by their state");
  await page.goto(`${base}#/subscriptions`);
  await page.locator(".row.is-subscriptions").first().waitFor();
  took("the subscription is shown");
  await page.goto(`${base}#/charts`);
  const tile = async (name) => page.locator(".tile", { hasText: name }).locator("dd").textContent();
  await page.locator(".tile").first().waitFor();
  is([await tile("Delivered"), await tile("Failed")].map((text) => text.replace(/[ ,]/g, "")),
    [String(world.many.delivered), String(world.many.failed)],
      "of 100,000 deliveries: the numbers");
  took("the charts are shown");
  await page.context().close();
}

/** More subscriptions than a page of the API has, and more deliveries of an event than it lists. */
async function branches() {
  const page = await open({ tenant: "acme-branches" });
  await page.goto(`${base}#/deliveries`);
  await page.locator(".row.is-deliveries").first().waitFor();
  ok(await until(async () => (await page.getByLabel("Subscription").locator("option").allTextContents())
    .includes(world.branches.oldest)), "2,500 subscriptions are all there to choose from");
  ok(await until(async () => (await page.locator(".row.is-deliveries").first().textContent())
    .includes("Branch")), "and have their names in the list");
  await page.goto(`${base}#/subscriptions?find=branch`);
  await page.getByText("100 of 2,500 are shown").waitFor();
  ok(true, "the number of hidden results is shown");
  await page.goto(`${base}#/events`);
  await page.locator(".row.is-events .row-link").first().click();
  await page.getByRole("heading", { name: "100 of its deliveries" }).waitFor();
  is(await page.getByRole("heading", { name: "Not sent to" }).count(), 0,
    "no subscription is listed as not sent to while some deliveries are unknown");
  await page.getByRole("link", { name: "All deliveries of that time" }).click();
  await page.locator(".row.is-deliveries").first().waitFor();
  ok(true, "all of them can be shown by a click");
  await page.context().close();
}

/** An administrator acts for a named tenant. */
async function administrator() {
  const page = await open({ extraHTTPHeaders: { "X-Tenant": "root", "X-Role": "admin" } });
  await page.goto(base);
  await page.getByRole("heading", { name: "Get told when something happens" }).waitFor();
  await page.getByLabel("Tenant").fill("acme");
  await page.getByLabel("Tenant").press("Enter");
  await page.locator(".row.is-subscriptions", { hasText: "Legacy ERP" }).waitFor();
  await page.reload();
  await page.locator(".row.is-subscriptions", { hasText: "Legacy ERP" }).waitFor();
  is(await page.getByLabel("Tenant").inputValue(), "acme", "an administrator acts for a tenant");
  const link = await open({ extraHTTPHeaders: { "X-Tenant": "root", "X-Role": "admin" } });
  await link.goto(page.url());
  await link.locator(".row.is-subscriptions", { hasText: "Legacy ERP" }).waitFor();
  ok(/\?tenant=acme#/.test(page.url()),
    "the tenant's name is in the address, so that it can be shared");
  await link.context().close();
  for (const [name, heading, headers] of [
    ["one without webhooks of their own is asked whose", "Whose webhooks?", { "X-Role": "admin" }],
    ["other logins learn what to ask for", "This login has no webhooks", {}]]) {
    const nobody = await open({ extraHTTPHeaders: headers });
    await nobody.goto(`${base}#/events`);
    await nobody.getByRole("heading", { name: heading }).waitFor();
    ok(true, name);
    await nobody.context().close();
  }
  await page.context().close();
}

async function filters({ made, failed }) {
  const page = await open();
  const rows = page.locator(".row.is-deliveries");
  await page.goto(`${base}#/deliveries`);
  await rows.first().waitFor();
  await page.getByRole("button", { name: "Failed", exact: true }).click();
  await page.locator(".row .badge.is-failed").first().waitFor();
  ok(await until(async () => await page.locator(".row .badge:not(.is-failed)").count() === 0),
    "a filter shows only matching deliveries");
  ok(page.url().includes("state=failed"), "the filter is in the address");
  await rows.first().locator("a").click();
  await page.getByRole("heading", { name: /^Not delivered/ }).waitFor();
  await page.reload();
  await page.locator("a.back").click();
  await rows.first().waitFor();
  ok(page.url().includes("state=failed"), "the link back leads to the list with its filter");
  await page.goto(`${base}#/deliveries?subscription=${made.long.id}`);
  await rows.first().waitFor();
  await page.evaluate(() => window.scrollTo(0, 700));
  await rows.nth(18).locator("a").click();
  await page.getByText("Delivery", { exact: true }).waitFor();
  await page.goBack();
  ok(await until(async () => await page.evaluate(() => window.scrollY) === 700),
    "the browser's back button restores the scroll position");
  await page.goto(`${base}#/deliveries?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z`);
  await page.getByText("The time ends before it begins.").waitFor();
  ok(true, "an impossible time is reported");
  await page.goto(`${base}#/deliveries`);
  await page.getByLabel("Last answer").fill("5xx");
  await page.getByLabel("Last answer").press("Enter");
  ok(await until(async () => await rows.first().locator(".code").textContent() === "500"),
    "deliveries can be filtered by status code");
  await page.getByLabel("Last answer").fill("what");
  await page.getByLabel("Last answer").press("Enter");
  is(await page.getByLabel("Last answer").getAttribute("aria-invalid"), "true",
    "an invalid one is reported");
  await page.goto(`${base}#/deliveries?subscription=${made.long.id}&range=1h`);
  ok(await until(async () => await rows.count() > 30),
    "they can be filtered by subscription and time");
  await page.goto(`${base}#/deliveries`);
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByRole("button", { name: "Newest" }).waitFor();
  ok(true, "long lists have pages");

  await page.goto(`${base}#/deliveries?subscription=${made.long.id}`);
  await rows.first().waitFor();
  const before = await rows.first().getAttribute("data-id");
  await page.evaluate(() => window.scrollTo(0, 600));
  await publish("employee.updated", { id: 99 });
  await page.getByRole("button", { name: "1 new delivery" }).click();
  ok(await until(async () => await rows.first().getAttribute("data-id") !== before),
    "new rows wait above while the list is being read");
  const top = await rows.first().getAttribute("data-id");
  await page.evaluate(() => {
    const list = document.querySelector("ul[aria-label=Deliveries]");
    globalThis.moving = setInterval(() => list.dispatchEvent(new PointerEvent("pointermove",
      { bubbles: true })), 50);
  });
  await publish("employee.updated", { id: 100 });
  await until(async () => (await api("GET",
    `deliveries?subscription=${made.long.id}&limit=1`))[0].id !== top);
  await page.waitForResponse(/deliveries\?/);
  await page.waitForResponse(/deliveries\?/);
  is(await rows.first().getAttribute("data-id"), top, "rows do not move under the pointer");
  await page.evaluate(() => clearInterval(globalThis.moving));
  ok(await until(async () => await rows.first().getAttribute("data-id") !== top),
    "they do once it rests");
  await page.getByRole("button", { name: /^Live/ }).click();
  await page.getByRole("button", { name: /^Paused/ }).waitFor();
  ok(true, "the live list can be paused");

  await page.goto(`${base}#/events/${(await api("GET", "events?type=lonely.event"))[0].id}`);
  await page.getByRole("heading", { name: "No subscription matched" }).waitFor();
  await page.getByText("without this type").waitFor();
  ok(true, "an event without deliveries says so, and why");
  await page.goto(`${base}#/charts?range=1h`);
  await page.locator(".tile", { hasText: "Success rate" }).waitFor();
  const bars = await page.locator("rect.fill-delivered").count();
  ok(bars > 0 && await page.locator(".row.is-shares").count() >= 3,
    "charts show deliveries, and their subscriptions", `${bars} bars`);
  await page.goto(`${base}#/subscriptions`);
  await page.getByText(/subscriptions need attention/).waitFor();
  await page.getByLabel("Find a subscription").fill("payROLL");
  ok(await until(async () => await page.locator(".row.is-subscriptions").count() === 1),
    "a subscription can be found by its description");
  await page.getByRole("button", { name: "Not active" }).click();
  await page.getByRole("heading", { name: "No such subscription" }).waitFor();
  is(await page.getByLabel("Find a subscription").inputValue(), "payROLL",
    "among those of the chosen state");

  const other = await open({ tenant: "nobody-yet" });
  await other.goto(`${base}#/events`);
  await other.getByRole("heading", { name: "No events yet" }).waitFor();
  ok(true, "another tenant sees nothing of it");
  await other.goto(`${base}#/deliveries/${failed.id}`);
  await other.getByRole("heading", { name: "There is nothing here" }).waitFor();
  ok(true, "it sees nothing through the address either");
  await page.context().close();
  await other.context().close();
}

export async function views() {
  const seeded = await fill();
  await pictures(seeded);
  await filters(seeded);
  await administrator();
  if (world.history) {
    await charts();
    await many();
    await branches();
  }
}
