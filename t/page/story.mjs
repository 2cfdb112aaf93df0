// Licensed under the Apache License, Version 2.0: see LICENSE.
// The page in a real browser, started by t/60-page.t. Prints one line of JSON per check.
import { faults } from "./faults.mjs";
import { first } from "./first.mjs";
import { close, errors, is } from "./lib.mjs";
import { receive } from "./receive.mjs";
import { views } from "./views.mjs";
import { why } from "./why.mjs";

const LONGEST = 800000;

setTimeout(() => {
  console.log("this takes too long");
  process.exit(3);
}, LONGEST).unref();
await first();
await receive();
await faults();
await why();
await views();
is(errors, [], "the console has no error, and the policy blocked nothing");
await close();
