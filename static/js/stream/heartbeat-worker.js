// @ts-check
/** The worker of heartbeat.js: posts a message every so many milliseconds. */

onmessage = (event) => setInterval(() => postMessage(null), event.data);
