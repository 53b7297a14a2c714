// @ts-check
/** Who the users are and whose the streams: asked for once, a batch at a time. Pure but for `say`. */

const MOST = 200;
/** Seconds after which what has no name is asked for again: a patient may have been admitted meanwhile. */
const AGAIN_S = 60;
/** Seconds for an answer, before it is asked for again. */
const PATIENCE_S = 5;

export class Names {
  /** @type {Map<string, string | null>} */ #known = new Map();
  /** @type {Map<string, number>} */ #askedAt = new Map();
  /** @type {Set<string>} */ #wanted = new Set();
  #waitsUntil = 0;

  /** The name of a user; its id while that is all there is. @param {number | null} user @param {string} actor */
  user(user, actor) {
    if (user === null) return actor;
    const name = this.#name(`u${user}`), token = actor.startsWith("api-token:") ? ", by API token" : "";
    return `${name ?? `user ${user}`}${token}`;
  }

  /** Ward, bed and patient; null where the user may not know, it was not answered yet, or there is none. @param {string} stream */
  stream(stream) {
    return stream ? this.#name(`s${stream}`) : null;
  }

  /** What to ask for now, if anything. @param {number} now @returns {{users: string[], streams: string[]} | null} */
  question(now) {
    if (!this.#wanted.size || now < this.#waitsUntil) return null;
    const due = [...this.#wanted].filter((key) => now - (this.#askedAt.get(key) ?? -Infinity) > AGAIN_S);
    this.#wanted.clear();
    if (!due.length) return null;
    /** @param {string} kind */
    const of = (kind) => due.filter((key) => key[0] === kind).slice(0, MOST);
    const users = of("u"), streams = of("s");
    for (const key of [...users, ...streams]) this.#askedAt.set(key, now);
    this.#waitsUntil = now + PATIENCE_S;
    return { users: users.map((key) => key.slice(1)), streams: streams.map((key) => key.slice(1)) };
  }

  /** @param {{users: Record<string, string>, streams: Record<string, string>}} answer */
  take({ users, streams }) {
    for (const [user, name] of Object.entries(users)) this.#known.set(`u${user}`, name);
    for (const [stream, name] of Object.entries(streams)) this.#known.set(`s${stream}`, name);
    this.#waitsUntil = 0;
  }

  /** Ask for everything anew, as after the user's rights have changed. */
  forget() {
    this.#known.clear();
    this.#askedAt.clear();
    this.#waitsUntil = 0;
  }

  /** @param {string} key */
  #name(key) {
    const name = this.#known.get(key) ?? null;
    if (name === null) this.#wanted.add(key);
    return name;
  }
}
