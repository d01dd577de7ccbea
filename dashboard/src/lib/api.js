// Requests to /api. What is refused is an ApiError, with the server's own words and advice.
import { signedOut } from "./connection.svelte.js";

export class ApiError extends Error {
  constructor(status, { code = "", message, advice = "", about = {} }) {
    super(message);
    this.status = status;
    this.code = code;
    this.advice = advice;
    this.about = about;
  }
}

export function taskPath(run, key) {
  return `runs/${encodeURIComponent(run)}/tasks/${encodeURIComponent(key)}`;
}

export function runPath(run) {
  return `runs/${encodeURIComponent(run)}`;
}

export async function fetched(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "the server does not answer", advice: "Is `wavepool serve` still running?" });
  }
  if (answer.ok) return answer;
  if (answer.status === 401) signedOut();
  throw new ApiError(answer.status, await reasonOf(answer));
}

async function reasonOf(answer) {
  try {
    const { error } = await answer.json();
    if (error?.message) return error;
  } catch {
    // no JSON: a proxy between us and the server said no
  }
  return { message: `the server answered ${answer.status} ${answer.statusText}`.trim() };
}

export async function get(path, options) {
  return (await fetched(path, options)).json();
}

export async function post(path, body = {}) {
  const headers = { "content-type": "application/json" };
  return (await fetched(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}
