/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* Finds out why a target does not respond: how its latest attempt ended. */
import { get } from "./api.js";
import { explain } from "./explain.js";

/** While a target fails, most deliveries that wait for it have never been attempted. */
const LOOKED_AT = 500;

/** @return a promise of {name, what, todo, error}, null if it is unknown */
export async function silence(subscription, signal) {
  const attempted = async (state, limit) => (await get("deliveries",
    { subscription, state, status: "none", limit }, signal)).data.find((one) => one.attempt_count > 0);
  const latest = await attempted("pending", LOOKED_AT) || await attempted("failed", 1);
  const { attempts } = latest ? (await get(`deliveries/${latest.id}`, {}, signal)).data
    : { attempts: [] };
  const last = attempts[attempts.length - 1];
  return last && last.status_code === null ? { ...explain(last), error: last.error } : null;
}
