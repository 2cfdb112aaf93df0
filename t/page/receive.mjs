// Licensed under the Apache License, Version 2.0: see LICENSE.
// Run the page's sample receivers unchanged.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { api, base, is, ok, open, until } from "./lib.mjs";
import { world } from "./lib.mjs";

const LIMIT = 60000;

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** Run a program until it ends; return its output. */
function run(command, args, environment) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"], timeout: LIMIT });
    let said = "";
    child.stdout.on("data", (data) => { said += data; });
    child.stderr.on("data", (data) => { said += data; });
    child.on("close", () => resolve(said));
  });
}

/** Run a receiver while `work` does something; said() returns its output so far. */
async function during([command, ...args], environment, work) {
  const child = spawn(command, args, { env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (data) => { said += data; });
  child.stderr.on("data", (data) => { said += data; });
  try {
    await until(() => fetch(`http://127.0.0.1:${environment.PORT}/`,
      { signal: AbortSignal.timeout(LIMIT) }).then(() => true, () => false), LIMIT);
    await work(() => said);
  } finally {
    child.kill();
  }
}

export async function receive() {
  const PORT = String(await freePort());
  const { id, secret: SECRET } = await api("POST", "subscriptions", {
    target_url: `http://127.0.0.1:${PORT}/it's/here?a=1`, events: ["employee.created"],
    format: "envelope", description: "Samples" });
  const page = await open();
  await page.goto(`${base}#/subscriptions/${id}`);
  const folder = `${world.folder}/samples`;
  mkdirSync(folder, { recursive: true });
  const files = {};
  for (const [language, name] of [["curl", "send.sh"], ["Node.js", "receive.mjs"],
    ["Python", "receive.py"], ["PHP", "receive.php"], ["C#", "Program.cs"]]) {
    await page.getByRole("button", { name: language, exact: true }).click();
    const text = await page.getByLabel(`${language} example`).textContent();
    ok(/verified|hash_hmac|hmac/i.test(text) && text.includes("employee.created"),
      `how to receive and verify in ${language}`);
    files[language] = `${folder}/${name}`;
    writeFileSync(files[language], text);
  }
  const curl = (secret) => run("bash", [files.curl], { SECRET: secret });
  await during(["node", files["Node.js"]], { PORT, SECRET }, async (said) => {
    const answer = await curl(SECRET);
    ok(/^HTTP\/1\.1 204/m.test(answer), "the sample for curl signs, the one for Node.js verifies",
      answer + said());
    ok(/^HTTP\/1\.1 400/m.test(await curl("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
      "it refuses a signature by another secret");
    ok(await until(() => said().includes("employee.created")), "it says what arrived", said());
    await page.getByRole("button", { name: "Send test" }).click();
    await page.getByRole("heading", { name: "Delivered at once" }).waitFor();
    ok(true, "it accepts a delivery of this server");
  });
  const taken = { Python: ["python3", files.Python],
    PHP: ["php", "-S", `127.0.0.1:${PORT}`, files.PHP] };
  for (const [language, command] of Object.entries(taken)) {
    await page.goto(`${base}#/subscriptions/${id}`);
    await during(command, { PORT, SECRET }, async (said) => {
      ok(/ 204 /.test(await curl(SECRET)), `the sample for ${language} verifies`, said());
      ok(/ 400 /.test(await curl("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        "it refuses invalid ones, too");
      await page.getByRole("button", { name: "Send test" }).click();
      await page.getByRole("heading", { name: "Delivered at once" }).waitFor();
      ok(true, "it accepts a delivery of this server");
    });
  }
  is(await api("DELETE", `subscriptions/${id}`), null, "the samples' subscription is deleted");
  await page.context().close();
}
