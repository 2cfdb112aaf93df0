// Licensed under the Apache License, Version 2.0: see LICENSE.
// An expired session, a server that does not respond, and use by keyboard only.
import { api, base, is, ok, open, until, world } from "./lib.mjs";

async function session(page) {
  await page.goto(`${base}#/subscriptions/new`);
  await page.getByLabel("Target URL").fill(world.story);
  await page.getByRole("checkbox", { name: "employee (employee.*)" }).check();
  await page.getByLabel("Description").fill("Typed before the session ended");
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.getByText("Your session has ended.").first().waitFor();
  ok(await page.getByRole("link", { name: "Sign in" }).isVisible(),
    "when the session ends, there is a way to sign in");
  is([await page.getByLabel("Target URL").inputValue(),
    await page.getByLabel("Description").inputValue()],
  [world.story, "Typed before the session ended"], "what was typed stays");
  await page.context().addCookies([{ name: "session", value: "1", url: world.url }]);
  const other = await page.context().newPage();
  await other.goto(base);
  ok(await until(async () => await page.locator("#alerts .alert").count() === 0),
    "after a login in another tab the page continues by itself");
  await other.close();
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { name: "Typed before the session ended" }).waitFor();
  ok(true, "what was typed is kept");
}

/** Responses that are not the API's. */
async function answers(page) {
  const list = "**/hooks/deliveries?**";
  await page.route(list, (route) => route.fulfill({ status: 200, contentType: "text/html",
    body: "<h1>Login</h1>" }));
  await page.goto(`${base}#/deliveries`);
  await page.getByText("Your session has ended.").first().waitFor();
  ok(true, "a login page instead of a response means that the session ended");
  await page.unroute(list);
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByRole("heading", { name: "No deliveries yet" }).or(page.locator(".row")).first()
    .waitFor();
  ok(true, "the next valid response ends that");
  let asked = 0;
  await page.route(list, (route) => {
    asked += 1;
    return route.fulfill({ status: 401, contentType: "text/html", body: "who are you?" });
  });
  await page.getByText("Your session has ended.").first().waitFor();
  await page.waitForTimeout(7000);
  is(asked, 1, "a live list does not ask for the password repeatedly");
  await page.unroute(list);
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.waitForResponse(/deliveries\?/);
  ok(await until(async () => await page.locator(".live-note").textContent() === ""),
    "it continues after the next login");
  await page.route(list, (route) => route.abort("failed"));
  await page.goto(`${base}#/deliveries?state=failed`);
  await page.getByText("The server can't be reached.").waitFor();
  await page.unroute(list);
  await page.route(list, (route) => route.fulfill({ status: 503,
    contentType: "application/problem+json",
    body: '{"type":"about:blank","title":"x","status":503,"detail":"The database rests."}' }));
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The database rests.").waitFor();
  await page.unroute(list);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "No such deliveries" }).or(page.locator(".row")).first()
    .waitFor();
  ok(true, "a view that can't be loaded says why, and can be retried");
}

/** Pages that ended early, without a row. */
async function short(page) {
  const list = "**/hooks/deliveries?**";
  const empty = { status: 200, contentType: "application/json", body: "[]", headers: {
    Link: '</hooks/deliveries?before=ffffffff-ffff-7fff-bfff-ffffffffffff>; rel="next"',
    "X-Hook-Searched": "2026-01-02T03:04:05.678Z/2026-02-01T00:00:00.000Z" } };
  let asked = 0;
  await page.route(list, (route) => {
    asked += 1;
    return asked < 4 ? route.fulfill(empty) : route.continue();
  });
  await page.goto(`${base}#/deliveries?status=none`);
  await page.getByRole("heading", { name: "No such deliveries" }).or(page.locator(".row")).first()
    .waitFor();
  ok(asked >= 4 && await page.getByText("so far").count() === 0,
    "where a page of a list ends early, the next ones are asked for");
  await page.unroute(list);
  await page.route(list, (route) => route.fulfill(empty));
  await page.goto(`${base}#/deliveries?status=504`);
  await page.getByRole("heading", { name: "No such deliveries so far" }).waitFor();
  ok(await page.getByRole("button", { name: "Search further" }).isVisible(),
    "in the end a person may go on");
  await page.unroute(list);
}

async function keyboard(page) {
  const at = (code) => page.evaluate(code);
  await page.goto("about:blank");
  await page.goto(`${base}#/subscriptions`);
  await page.locator(".row-link").first().waitFor();
  await page.keyboard.press("Tab");
  is(await at(() => document.activeElement.id), "skip", "the first stop skips to the content");
  for (let i = 0; i < 40; i += 1) {
    if (await at(() => document.activeElement.classList.contains("row-link"))) {
      break;
    }
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Unsubscribe" }).waitFor();
  ok(await until(() => at(() => document.activeElement.tagName === "H1")),
    "a new view has the focus on its heading");
  for (let i = 0; i < 12; i += 1) {
    if (await at(() => document.activeElement.textContent === "Unsubscribe")) {
      break;
    }
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor();
  ok(await at(() => document.querySelector("dialog").contains(document.activeElement)),
    "a dialog gets the focus");
  await page.keyboard.press("Escape");
  ok(await until(async () => await page.locator("dialog").count() === 0), "Escape closes it");
  ok(await until(() => at(() => document.activeElement.textContent === "Unsubscribe")),
    "then the focus returns");
  const chart = page.getByRole("group", { name: /^Last 24 hours/ });
  await chart.focus();
  await page.keyboard.press("End");
  ok(/deliver/.test(await chart.locator("[aria-live]").textContent()),
    "a chart can be read by keyboard");
  await page.keyboard.press("/");
  is(await at(() => document.activeElement.getAttribute("aria-label")), "Find by id",
    "a slash moves the focus to the search");
}

/** Every id that a log or a receiver shows leads to its view. */
async function find(page) {
  const id = (await api("GET", "events?limit=1"))[0].id;
  const search = page.getByLabel("Find by id");
  await search.fill(id.toUpperCase());
  await search.press("Enter");
  await page.getByRole("heading", { name: "Data" }).waitFor();
  ok(page.url().endsWith(`#/events/${id}`), "a webhook-id leads to its event");
  await search.fill("00000000-0000-7000-8000-000000000000");
  await search.press("Enter");
  ok(await until(() => search.evaluate((input) => input.validationMessage.includes("No delivery"))),
    "an unknown id is reported");
}

export async function faults() {
  const page = await open();
  await session(page);
  await answers(page);
  await short(page);
  await keyboard(page);
  await find(page);
  await page.context().close();
}
