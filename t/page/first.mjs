// Licensed under the Apache License, Version 2.0: see LICENSE.
// From the empty page to a redelivery, and what else can be done.
import { api, base, is, ok, open, publish, until, world } from "./lib.mjs";

const MARKUP = "<img src=x onerror=alert(1)>";
const EXACT = "12345678901234567890.10";

/** Invalid input is reported, and the typed values are kept. */
async function subscribe(page) {
  await page.goto(base);
  await page.getByRole("heading", { name: "Get told when something happens" }).waitFor();
  ok(true, "a page without subscriptions explains them");
  await page.getByRole("button", { name: "New subscription" }).last().click();
  await page.getByLabel("Target URL").fill("ftp://example.com/x");
  await page.getByText("Only https:// targets can be reached.").waitFor();
  ok(true, "an invalid URL is reported while it is typed");
  await page.getByRole("button", { name: "Subscribe" }).click();
  is(await page.locator("#target").getAttribute("aria-invalid"), "true", "it is not sent");
  is(await page.evaluate(() => document.activeElement.id), "target",
    "the focus moves to the invalid field");
  await page.getByLabel("Target URL").fill(world.story);
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.getByText("Choose at least one.").waitFor();
  ok(true, "so is a missing event type");
  await page.getByRole("checkbox", { name: "employee (employee.*)" }).check();
  ok(await page.getByRole("checkbox", { name: "employee.created" }).isDisabled(),
    "a noun covers its types");
  await page.getByRole("heading", { name: "Sample of employee.created" }).waitFor();
  const sample = page.getByLabel("Sample of employee.created", { exact: true }).last();
  await page.getByRole("radio", { name: "Envelope" }).check();
  await page.locator(".sample", { hasText: "\"timestamp\"" }).waitFor();
  ok(true, "the sample payload is shown beside it, in the chosen format");
  await page.getByRole("radio", { name: "Array" }).check();
  ok((await sample.textContent()).startsWith("["), "the sample follows the choice");
  await page.getByText("Headers, order and pace").click();
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Header name").fill("webhook-id");
  await page.getByLabel("Header value").fill("mine");
  await page.getByRole("button", { name: "Subscribe" }).click();
  await page.locator("#headers-error:not(:empty)").waitFor();
  ok((await page.locator("#headers-error").textContent()).includes("webhook-id"),
    "an error from the server is shown at its field");
  is(await page.getByLabel("Target URL").inputValue(), world.story, "typed values are kept");
  await page.getByLabel("Header name").fill("X-Token");
  await page.getByRole("button", { name: "Subscribe" }).click();
  const secret = await page.locator("dialog pre").textContent();
  ok(/^whsec_/.test(secret), "the secret is shown");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Send test" }).waitFor();
  ok(true, "the subscription is there");
  return secret;
}

/** A delivery fails, says why, and is redelivered. */
async function resend(page) {
  await publish("employee.created", `{"id":7,"salary":${EXACT},"name":"${MARKUP}",`
    + '"city":"M\\u00fcnchen"}');
  await page.getByRole("link", { name: "Deliveries", exact: true }).click();
  await page.locator(".row .badge.is-failed").first().waitFor();
  ok(true, "the list of deliveries follows until it has failed");
  await page.getByRole("link", { name: "employee.created" }).first().click();
  await page.getByRole("heading", { name: "Not delivered after 2 attempts: the target answers 500" })
    .waitFor();
  ok(true, "the delivery says that it did not arrive, and why");
  await page.getByText("Its own log says why.").first().waitFor();
  ok(true, "it says what to do about it");
  is(await page.locator(".timeline > .is-bad").count(), 2, "it shows each attempt");
  ok((await page.locator(".timeline").textContent()).includes("Traceback: the first one"),
    "it shows the target's response");
  const payload = await page.getByLabel("Payload").textContent();
  ok(payload.includes(MARKUP), "markup in a payload stays text");
  is(await page.locator("img").count(), 0, "it makes no elements");
  ok(payload.includes(`"salary": ${EXACT}`), "numbers are shown to the digit");
  ok(payload.includes("München"), "escaped letters are shown as letters");
  await page.getByRole("button", { name: "As sent" }).click();
  ok((await page.getByLabel("Payload").textContent()).includes("M\\u00fcnchen"),
    "the payload that was sent can be shown byte for byte");
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("heading", { name: "Delivered at attempt 3" }).waitFor();
  is(await page.locator(".timeline > .is-good").count(), 1, "sent again, it arrives");
  await page.getByRole("link", { name: "Subscriptions", exact: true }).first().click();
  await page.locator(".row-link").first().click();
  await page.getByRole("button", { name: "Send test" }).waitFor();
}

/** Replay, secrets, pause, test, concurrent changes, unsubscribe. */
async function change(page, secret) {
  const id = page.url().split("/").pop();
  await page.getByRole("button", { name: "Show the secret" }).click();
  is(await page.locator(".secret-line pre").textContent(), secret,
    "the secret is shown on request");
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByLabel("Send", { exact: true }).selectOption("any");
  await page.getByText("1 delivery will be sent again.").waitFor();
  ok(true, "a replay is counted before it is made");
  await page.locator("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText("1 queued").waitFor();
  ok(await until(async () =>
    (await api("GET", `subscriptions/${id}/deliveries`))[0].attempt_count === 4),
      "then it is sent");
  await page.getByRole("button", { name: "Rotate secret" }).click();
  await page.getByRole("button", { name: "Make a new secret" }).click();
  await page.getByText("This is the new secret.").waitFor();
  ok(await page.locator("dialog pre").textContent() !== secret, "the secret can be rotated");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("two sign, the old one until").waitFor();
  ok(true, "the end of the overlap of two secrets is shown");
  await page.getByRole("button", { name: "End it now" }).click();
  await page.getByText("one signs", { exact: true }).waitFor();
  is((await api("GET", `subscriptions/${id}`)).old_secret_expires_at ?? null, null,
    "the overlap can be ended");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("heading", { name: "Paused" }).waitFor();
  await page.getByRole("button", { name: "Revive" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  is((await api("GET", `subscriptions/${id}`)).state, "active", "it can be paused and revived");
  await page.getByRole("button", { name: "Send test" }).click();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.locator(".timeline > .is-good").waitFor();
  ok(true, "a test shows its response");
  await page.goto(`${base}#/subscriptions/${id}/edit`);
  await page.getByLabel("Description").fill("Payroll");
  await page.getByRole("checkbox", { name: "In order" }).check();
  const rate = page.getByLabel("Maximum number of POSTs per second");
  await rate.fill("0");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#rate_limit-error:not(:empty)").waitFor();
  ok(true, "a number that the server refuses is shown at its field");
  await rate.fill("7");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  const saved = await api("GET", `subscriptions/${id}`);
  is([saved.description, saved.ordered, saved.rate_limit, saved.headers],
    ["Payroll", true, 7, { "X-Token": "********" }], "all settings can be changed");
  await page.goto(`${base}#/subscriptions/${id}/edit`);
  await page.getByLabel("Description").fill("Changed by hand");
  await api("PATCH", `subscriptions/${id}`, { description: "by somebody else" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Someone else has changed this subscription").waitFor();
  is(await page.getByLabel("Description").inputValue(), "Changed by hand",
    "concurrent changes don't overwrite each other");
  await page.goto(`${base}#/subscriptions/${id}`);
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  is((await api("GET", `subscriptions/${id}`)).id, id, "unsubscribing asks for confirmation");
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await page.locator("dialog").getByRole("button", { name: "Unsubscribe" }).click();
  await page.getByRole("heading", { name: "Get told when something happens" }).waitFor();
  ok(true, "then it is done");
}

export async function first() {
  const page = await open();
  const secret = await subscribe(page);
  await resend(page);
  await change(page, secret);
  await page.context().close();
}
