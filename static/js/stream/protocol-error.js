// @ts-check

/** The server sent what vital.v1 does not allow; the connection has to be closed with 4400. */
export class ProtocolError extends Error {
  /** @override */
  name = "ProtocolError";
}
