// @ts-check
/** A tick that goes on in hidden tabs: browsers throttle a page's timers there, a worker's they leave alone. */

export const TICK_MS = 50;

/**
 * Call `tick` every TICK_MS.
 * @param {() => void} tick
 */
export function startHeartbeat(tick) {
  const worker = new Worker(new URL("./heartbeat-worker.js", import.meta.url), { type: "module" });
  worker.onmessage = tick;
  worker.postMessage(TICK_MS);
}
