// Licensed under the Apache License, Version 2.0: see LICENSE.
// Why a delivery did not arrive: targets that can't be reached, each for another reason.
import { api, base, is, ok, open, until, world } from "./lib.mjs";

const TENANT = "acme-why";
const mine = (method, path, body, role) => api(method, path, body, role, TENANT);
const TOKEN = "Bearer of-a-token";

/** Errors that occur only with slow or strange targets. */
const TEXTS = [["time-out after 15.0 s: waiting for an answer", "did not answer in time"],
  ["time-out after 5.0 s: connecting", "could not be reached in time"],
  ["time-out after 5.0 s: looking up the name", "could not be looked up"],
  ["time-out after 5.0 s: TLS handshake", "did not agree on an encrypted connection"],
  ["time-out after 5.0 s: connecting to the egress proxy", "The proxy of this server"],
  ["DNS: a.example: no name server answers", "could not be looked up"],
  ["DNS: a.example: the name servers failed", "could not be looked up"],
  ["refused: the address of a.example is not allowed", "may not send to the target's address"],
  ["TLS: the certificate is not trusted: self-signed certificate", "signed by itself"],
  ["TLS: the server does not speak TLS", "does not speak TLS"],
  ["egress proxy: connect to 10.0.0.1 port 3128: Connection refused", "The proxy of this server"]];

export async function why() {
  const made = {};
  for (const [name, [target_url]] of Object.entries(world.failures)) {
    made[name] = (await mine("POST", "subscriptions", { target_url, events: ["employee.*"],
      description: name, headers: { Authorization: TOKEN } })).id;
  }
  await mine("POST", "events", { type: "employee.created", data: { id: 1 } }, "app");
  const count = Object.keys(made).length;
  ok(await until(async () => (await mine("GET", "deliveries?state=failed")).length === count),
    "every target fails for its own reason");
  const page = await open({ tenant: TENANT, timezoneId: "Europe/Berlin" });
  const verdict = page.locator(".verdict");
  for (const [name, [, what, todo]] of Object.entries(world.failures)) {
    const [one] = await mine("GET", `subscriptions/${made[name]}/deliveries`);
    await page.goto(`${base}#/deliveries/${one.id}`);
    await page.getByText(one.id).waitFor();
    const text = await verdict.textContent();
    ok(new RegExp(what).test(await verdict.locator("h2").textContent())
      && new RegExp(todo).test(text), `${name}: the delivery says why, and what to do`, text);
  }
  ok((await verdict.textContent()).includes("not tried again by itself"),
    "it says that no further attempt will be made");
  const said = await page.evaluate(async (texts) => {
    const { explain } = await import("./ui/explain.js");
    return texts.map((error) => explain({ status_code: null, error }).what);
  }, TEXTS.map(([error]) => error));
  is(TEXTS.filter(([, what], i) => !said[i].includes(what)), [],
    "time-outs and refusals are explained, too");

  const request = page.locator(".panel", { has: page.getByRole("heading", { name: "Request" }) });
  ok(!(await page.content()).includes(TOKEN), "a header with credentials is not on the page");
  ok((await request.textContent()).includes("Authorization********"),
    "it can't be shown either, because the API masks it");

  await page.goto(`${base}#/subscriptions/${made.expired}`);
  await verdict.getByText("certificate has expired.").waitFor();
  ok(true, "a subscription whose target does not respond says why");
  ok(/, \d\d:\d\d:\d\d CES?T/.test(await page.locator(".facts").textContent()),
    "times are the reader's, with their zone", await page.locator(".facts").textContent());
  await page.getByRole("button", { name: "Show the secret" }).click();
  await page.getByRole("button", { name: "Hide" }).click();
  ok(!(await page.content()).includes("whsec_P") && await page.getByRole("button",
    { name: "Show the secret" }).evaluate((button) => button === document.activeElement),
  "a shown secret can be hidden");
  for (const name of Object.keys(made).filter((one) => !/expired|reset/.test(one))) {
    await mine("DELETE", `subscriptions/${made[name]}`);
  }
  await page.goto(`${base}#/subscriptions`);
  await page.reload();
  await page.locator(".attention").getByText("certificate has expired.").waitFor();
  ok(true, "so does the list of problems");
  await page.context().close();
}
