// @ts-check
/** What is said of the event that is looked at, beside its strip. */

import { t } from "../i18n.js";
import { MARKS, clockText } from "../ui/alarm-words.js";
import { drawIcon, mark, pick, write } from "../ui/dom.js";
import { factsOf } from "./events.js";

/**
 * @param {Element} detail
 * @param {import("./events.js").Event | null} event
 * @param {number} at ms, where no event is looked at
 */
export function showDetail(detail, event, at) {
  mark(detail, "data-event", event ? "" : null);
  const chip = pick(detail, ".chip", Element);
  mark(chip, "data-alarm", event ? MARKS[event.severity] : null);
  drawIcon(pick(chip, "svg", Element), event ? MARKS[event.severity] : null);
  write(pick(chip, ".what", Element), event?.text ?? t("About {clock}", { clock: clockText(at) }));
  const facts = event ? factsOf(event) : [];
  const key = JSON.stringify(facts);
  if (detail.getAttribute("data-key") === key) return;
  detail.setAttribute("data-key", key);
  pick(detail, "dl", Element).replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    }),
  );
}
