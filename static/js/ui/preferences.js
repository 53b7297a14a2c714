// @ts-check
/** What this browser remembers of its user: theme, and whether single keys act. Works without storage too. */

const memory = new Map();

/**
 * @param {string} name
 * @returns {string | null}
 */
export function recall(name) {
  try {
    return localStorage.getItem(`vital.${name}`) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function remember(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(`vital.${name}`, value);
  } catch {
    // Switched off or full: then it holds until the page is left.
  }
}
