"""A loudspeaker for a page, before any of its modules runs."""

from __future__ import annotations

SPEAKER = """
  window.heard = [];
  window.isAllowed = false;
  window.AudioContext = class {
    state = "suspended";
    destination = {};
    get currentTime() { return this.state === "running" ? performance.now() / 1000 : 0; }
    createPeriodicWave() { return {}; }
    addEventListener() {}
    async resume() { if (window.isAllowed) this.state = "running"; }
  };
  window.GainNode = class {
    gain = { setValueAtTime() {}, linearRampToValueAtTime() {} };
    connect(next) { return next; }
    disconnect() { window.heard.push("cut"); }
  };
  window.OscillatorNode = class {
    constructor(context, { frequency }) { window.heard.push(frequency); }
    connect(next) { return next; }
    start() {}
    stop() {}
  };
"""
"""A loudspeaker that keeps what it plays; the browser lets it once `isAllowed`, and a gesture has come."""
