// @ts-check
/** Lets all frames flash on one beat: several that each have their own flicker, and faster than any of them. */

const FLASH = "flash"; // the stylesheet's keyframes

/** The stylesheet lets a frame flash from when it appears; put every one that begins on the document's clock. */
export function keepFlashesInPhase() {
  document.addEventListener("animationstart", ({ animationName, target }) => {
    if (animationName !== FLASH || !(target instanceof Element)) return;
    for (const animation of target.getAnimations({ subtree: true })) animation.startTime = 0;
  });
}
