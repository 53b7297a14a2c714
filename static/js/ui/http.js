// @ts-check
/** The few questions that the page asks beside its socket, as JSON, each with a deadline. */

import { t } from "../i18n.js";

const DEADLINE_MS = 8000;

/**
 * Ask, or with a body tell; never throws.
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<{status: number, value: any}>} 0 where there was no answer; `value` then has the `fault` in words
 */
export async function ask(path, body) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  try {
    const answer = await fetch(path, {
      method: body ? "PUT" : "GET",
      body: body && JSON.stringify(body),
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": "application/json", "X-CSRFToken": token instanceof HTMLInputElement ? token.value : "" }),
      },
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
    return { status: answer.status, value: isJson ? await answer.json() : { fault: t("Load this page again: it is out of date") } };
  } catch {
    return { status: 0, value: { fault: t("No answer from the server") } };
  }
}
