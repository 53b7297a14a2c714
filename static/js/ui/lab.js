// @ts-check
/** The drawer that makes this page's own link worse, and shows what the server and the page make of it. */

import { decimal, t } from "../i18n.js";
import { durationText } from "../stream/freshness.js";
import { mark, pick, write } from "./dom.js";
import { reasonText, troubleOf } from "./network.js";

/** What the server has said of the link of this connection. */
export class Lab {
  link = "off";
  refusal = "";
  #until = 0;

  forgetConnection() {
    this.link = "off";
    this.refusal = "";
  }

  /**
   * @param {import("../stream/messages.js").ServerMessage} message
   * @param {number} now
   */
  hear(message, now) {
    if (message.type === "throttled") {
      this.link = message.link;
      this.#until = now + message.left_s;
    } else if (message.type === "refused" && message.of === "throttle") this.refusal = message.reason;
  }

  /** @param {number} now */
  leftS(now) {
    return this.link === "off" ? 0 : Math.max(0, this.#until - now);
  }
}

/**
 * @param {HTMLElement} element
 * @param {{connection: import("../stream/connection.js").Connection, feeds: import("../stream/feeds.js").Feeds, lab: Lab}} page
 */
export function begin(element, { connection, feeds, lab }) {
  const part = (/** @type {string} */ name) => pick(element, `[data-part="${name}"]`, Element);
  let asked = "";
  element.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest("[data-link]");
    if (!(button instanceof HTMLElement)) return;
    asked = button.dataset.link ?? "";
    connection.tell({ type: "throttle", link: asked });
  });
  return {
    /** @param {number} now */
    update(now) {
      if (asked === lab.link || connection.phase !== "online") asked = "";
      for (const button of element.querySelectorAll("[data-link]")) {
        mark(button, "aria-pressed", String(button.getAttribute("data-link") === lab.link));
      }
      const left = lab.leftS(now);
      // As in the network panel: figures of a way that is gone would praise it.
      const trouble = troubleOf(connection, now);
      const standing = left > 0 ? t("So for {time} more", { time: durationText(left) }) : (trouble?.what ?? t("The link is as it is"));
      write(part("left"), lab.refusal ? t(lab.refusal) : asked ? t("Asked for: the answer takes the same way") : standing);
      const stats = trouble ? null : feeds.stats;
      const rtt = trouble ? null : connection.rttS;
      write(part("rtt"), rtt === null ? "--" : decimal(rtt * 1000, 0));
      write(part("goodput"), stats?.goodput_bps == null ? "--" : decimal(stats.goodput_bps / 8000, 1));
      write(part("window"), stats ? `${decimal(stats.in_flight_bytes / 1024, 1)} / ${decimal(stats.window_bytes / 1024, 1)}` : "--");
      write(part("queued"), stats ? String(Object.values(stats.queued).reduce((sum, count) => sum + count, 0)) : "--");
      write(part("dropped"), stats ? `${stats.dropped} / ${stats.expired}` : "--");
      write(part("rendition"), stats ? t(stats.rendition) : "--");
      write(part("reason"), trouble ? "" : reasonText(feeds.reason));
    },
  };
}
