"""Signals with one exact change, to see when an alarm comes: two leads at 250 Hz in microvolts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streaming.ecg.alarms import AlarmEvent, AlarmKind, Change
from streaming.ecg.analysis import EcgAnalysis
from streaming.ecg.simulator import Simulator

Signal = NDArray[np.float64]
RATE_HZ = 250.0
LEADS = ("II", "V1")


def rhythm(name: str, seconds: float, heart_rate: float | None = None, *, seed: int = 1) -> Signal:
    """A simulated rhythm."""
    simulator = Simulator(name, rate_hz=RATE_HZ, leads=LEADS, seed=seed, heart_rate=heart_rate)
    return simulator.read(round(seconds * RATE_HZ)).astype(np.float64) * simulator.gain_uv


def standstill(seconds: float, *, noise_uv: float = 8.0) -> Signal:
    """Nothing but noise and a little wander, as of a body whose heart stands still."""
    n = round(seconds * RATE_HZ)
    wander = 20.0 * np.sin(2 * np.pi * 0.3 * np.arange(n) / RATE_HZ)
    noise: Signal = np.random.default_rng(2).normal(0.0, noise_uv, (2, n))
    signal: Signal = noise + wander
    return signal


def fibrillation(seconds: float, size_uv: float = 400.0) -> Signal:
    """Three waves of 4 to 6.5 Hz whose pitch and size wander, other phases on each lead."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    leads = []
    for lead in range(2):
        wave = np.zeros(len(t))
        for k, hz in enumerate((4.1, 5.2, 6.4)):
            pitch = 2 * np.pi * hz * t + 1.5 * np.sin(2 * np.pi * (0.21 + 0.07 * k) * t + lead + k)
            wave += (1.0 + 0.4 * np.sin(2 * np.pi * 0.33 * t + 2 * k + lead)) * np.sin(pitch + lead)
        leads.append(size_uv / 3 * wave + np.random.default_rng(lead).normal(0.0, 4.0, len(t)))
    return np.array(leads)


def joined(*parts: Signal) -> Signal:
    """One after another."""
    return np.concatenate(parts, axis=1)


def played(
    signal: Signal, analysis: EcgAnalysis | None = None, *, first: int = 0, chunk: int = 25
) -> list[AlarmEvent]:
    """All events of a signal that comes in chunks, on an analysis with default limits."""
    analysis = analysis or EcgAnalysis(RATE_HZ, LEADS)
    return [
        event
        for at in range(0, signal.shape[1], chunk)
        for event in analysis.push(first + at, signal[:, at : at + chunk])
    ]


def raised(events: list[AlarmEvent]) -> list[AlarmKind]:
    """What was raised, in order."""
    return [event.alarm.kind for event in events if event.change is Change.RAISED]
