// @ts-check
/** The package `ws` on node, as its README broadcasts: run as `node broadcast.mjs deflate|plain`. */

import { WebSocketServer, WebSocket } from "ws";

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: process.argv[2] === "deflate" ? { threshold: 0 } : false,
});
/** @type {Set<WebSocket>} */
const viewers = new Set();

server.on("connection", (/** @type {WebSocket} */ socket, /** @type {import("node:http").IncomingMessage} */ request) => {
  if (request.url?.startsWith("/ws/device/")) {
    socket.on("message", (/** @type {Buffer} */ data) => {
      for (const viewer of viewers) if (viewer.readyState === WebSocket.OPEN) viewer.send(data);
    });
    return;
  }
  viewers.add(socket);
  socket.on("close", () => viewers.delete(socket));
});
server.on("listening", () => {
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`listening on 127.0.0.1:${address.port}`);
});
