"""Which method each message is sent by: the cheapest forecast of delivery time and CPU, within bounds.

Learning predicts, and this plain controller decides: an argmin with hysteresis, comparisons that may take
one per cent, a CPU budget, and the fixed choice of the profile whenever the forecasts are off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core import priors
from streaming.core.deflate import Method, Strategy
from streaming.core.predictor import Array, Chunk, Forecast, Outcome, PathModel, Predictor, glance
from streaming.core.profiles import CompressionProfile
from streaming.core.token_bucket import TokenBucket

STATE_VERSION = 1
EXPLORE_CHANCE = 0.2
CPU_S_PER_S = 0.05
CPU_BURST_S = 1.0
"""What all groups of a process together may spend on choosing more effort than the least."""
UNSOUND = 0.5
SOUND = 0.25
"""Mean error of the forecast costs (as a logarithm) at which they are no longer believed, and again."""
UNSTEADY = 0.8
"""The same of the path: beyond it a rate says nothing about the next one."""
FRAMES_S = (0.1, 0.25, 0.5, 1.0)
"""Frame durations that there are."""
MAX_SHARE_OF_PATH = 0.7
FRAME_OVERHEAD_BYTES = 60
"""Frame, bundle, WebSocket, TCP and IP headers of one frame sent by itself."""

_SMALL_BYTES = 16 * 1024
_REUSES = 16
"""Messages below 16 KiB that follow a decision on one of their size: deciding costs as much as deflating."""
_SAME_PATH = 1.3
_MEMORY = 1 / 16
_STALE_SPREAD = 0.03
_STALE_AFTER = 300
"""A method that was compared with none for so many messages is known that much less."""
_SHIPPED = CompressionProfile()
_WIDE_BITS, _WIDE_MEMORY = 15, 9
_MESSAGE_BITS, _MESSAGE_MEMORY = 13, 6


class DataKind(StrEnum):
    """What a message is made of; each has models of its own."""

    TEXT = "text"
    MESSAGE = "message"
    """JSON of the protocol, on its way to a viewer, who has the dictionary."""
    BYTES = "bytes"
    SAMPLES = "samples"
    """Byte planes of differences (`ecg.planes`)."""


def methods_for(kind: DataKind, profile: CompressionProfile) -> tuple[Method, ...]:
    """What there is to choose from within the profile's levels, the fixed choice first.

    Beside its levels there are methods with a window of 32 KiB: no connection keeps it, for every message
    stands alone. On long JSON they save 3-5 % more than level 9; on int16, level 4 saves 9 % more in a
    fifth of the time. On planes, run lengths alone save 8 % more than level 9 in half the time of level 6.
    Messages are always deflated with the dictionary: it saves 3-11 % of long ones at the same level, in
    0-25 % more time, the more of both the higher the level. With a window of 8 KiB they are as short as
    with 32, and it is copied in 3 us.
    """
    bounds = range(profile.min_level, profile.max_level + 1)
    others = (method for method in _methods_for(kind, profile) if method.level in bounds)
    return tuple(dict.fromkeys((fixed_method(kind, profile), *others)))


def _methods_for(kind: DataKind, profile: CompressionProfile) -> tuple[Method, ...]:
    """All there are beside the fixed choice, whatever their levels."""
    window, memory = profile.window_bits, profile.mem_level
    methods: dict[Method, None] = {}
    if kind is DataKind.SAMPLES:
        methods |= {Method(level, window, memory): None for level in (1, 4)}
        methods[Method(4, window, memory, Strategy.FILTERED)] = None
        methods[Method(1, window, memory, Strategy.RLE)] = None
        methods[Method(1, _WIDE_BITS, _WIDE_MEMORY, Strategy.RLE)] = None
        return tuple(methods)
    if kind is DataKind.MESSAGE:
        filtered = partial(Method, strategy=Strategy.FILTERED, dictionary=True)
        methods |= {filtered(level, _MESSAGE_BITS, _MESSAGE_MEMORY): None for level in (1, 4, 6, 9)}
        methods |= {filtered(8, _WIDE_BITS, _WIDE_MEMORY): None}
        return tuple(methods)
    methods |= {Method(level, window, memory): None for level in range(1, 10)}
    if kind is DataKind.BYTES:
        methods |= {Method(level, _WIDE_BITS, _WIDE_MEMORY): None for level in (1, 4, 6)}
        return tuple(methods)
    methods |= {Method(level, window, memory, Strategy.FILTERED): None for level in (4, 9)}
    methods |= {Method(level, _WIDE_BITS, _WIDE_MEMORY, Strategy.FILTERED): None for level in (1, 4, 6, 8)}
    return tuple(methods)


def fixed_method(kind: DataKind, profile: CompressionProfile) -> Method:
    """What the profile alone would choose."""
    return Method(profile.level, profile.window_bits, profile.mem_level, dictionary=kind is DataKind.MESSAGE)


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision, to be handed back with what came of it."""

    kind: DataKind
    method: Method
    chunk: Chunk | None = None
    """None where an earlier decision was taken over: nothing is learned from it."""
    cost_s: float = 0.0
    """The forecast."""
    rival: Method | None = None
    """Another method to deflate the same message by, so that the two can be compared."""


class LevelController:
    """Chooses for one group; pure: time and chance come in, and what came of a choice is told to `learn`.

    `budget` holds CPU seconds and may be shared by all groups of a process. `chance` gives numbers from 0
    to 1, evenly.
    """

    def __init__(
        self, budget: TokenBucket, *, chance: Callable[[], float], profile: CompressionProfile = _SHIPPED
    ) -> None:
        self.path = PathModel()
        self.adaptations = 0
        """How often the method for messages of one kind and size became another."""
        self.spent_s = self.explored_s = 0.0
        """Delivery time and CPU of all messages, and the CPU time that comparing took."""
        self._budget = budget
        self._chance = chance
        self._profile = profile
        self._tracks: dict[DataKind, _Track] = {}

    @property
    def profile(self) -> CompressionProfile:
        """What the fixed choice is taken from."""
        return self._profile

    @profile.setter
    def profile(self, profile: CompressionProfile) -> None:
        if profile == self._profile:
            return
        self._profile = profile
        for kind, former in list(self._tracks.items()):
            # What both have is still known.
            self._tracks[kind] = _Track(kind, profile)
            self._tracks[kind].predictor.take_state(former.predictor.to_state())

    def plan(self, kind: DataKind, plain: bytes, now: float) -> Plan:
        """How to send `plain`, which is not empty."""
        track = self._track(kind)
        if not self._profile.adaptive:
            return Plan(kind, track.methods[track.fixed])
        octave = len(plain).bit_length()
        held = track.held.get(octave)
        if held is not None and held.reuses and len(plain) < _SMALL_BYTES and held.holds(self.path):
            held.reuses -= 1
            return Plan(kind, track.methods[held.index])
        chunk = glance(plain)
        track.probe_ratio = chunk.probe_ratio
        forecast = track.predictor.predict(chunk)
        costs = self._profile.cpu_weight * forecast.cpu_s + forecast.size_bytes * self.path.s_per_byte
        allowed = forecast.cpu_s <= max(self._budget.left(now), float(forecast.cpu_s.min()))
        index = self._cheapest(track, held, costs, allowed)
        if (held is not None and held.index != index) or (held is None and index != track.fixed):
            self.adaptations += 1
        track.held[octave] = _Held(index, _REUSES, self.path.s_per_byte)
        rival = self._rival(track, costs, forecast, index, now)
        return Plan(kind, track.methods[index], chunk, float(costs[index]), rival)

    def learn(self, plan: Plan, one: Outcome, now: float, other: Outcome | None = None) -> None:
        """What was planned became so many bytes and took so long; and what the rival made of it."""
        size_bytes, cpu_s = one
        self._spend(cpu_s, now)
        cost_s = self._profile.cpu_weight * cpu_s + size_bytes * self.path.s_per_byte
        self.spent_s += cost_s
        if plan.chunk is None:
            return
        track = self._track(plan.kind)
        number = track.numbers.get(plan.method)
        if number is None:
            return  # the settings have changed meanwhile
        track.judge(abs(math.log(cost_s / plan.cost_s)))
        track.predictor.learn(number, plan.chunk, size_bytes, cpu_s)
        if other is not None and plan.rival is not None:
            self._spend(other[1], now)
            self.explored_s += other[1]
            rival = track.numbers.get(plan.rival)
            if rival is None:
                return
            track.predictor.learn_pair(number, rival, plan.chunk, one, other)
            track.compared_at[rival] = track.predictor.updates

    def _spend(self, cpu_s: float, now: float) -> None:
        self._budget.take(min(cpu_s, self._budget.left(now)), now)

    def frame_duration_s(self, kind: DataKind, plain_bytes_per_s: float) -> float:
        """The shortest frame in which the path carries so much data with room to spare, else the longest.

        Short frames wait less for their last byte; long ones pay less for headers and compress better.
        """
        track = self._track(kind)
        for frame_s in FRAMES_S:
            chunk = Chunk(max(1, round(plain_bytes_per_s * frame_s)), track.probe_ratio)
            forecast = track.predictor.predict(chunk)
            costs = forecast.cpu_s + forecast.size_bytes * self.path.s_per_byte
            busy_s = float(costs.min()) + FRAME_OVERHEAD_BYTES * self.path.s_per_byte
            if busy_s <= MAX_SHARE_OF_PATH * frame_s:
                return frame_s
        return FRAMES_S[-1]

    @property
    def updates(self) -> int:
        """Messages that something was learned from."""
        return sum(track.predictor.updates for track in self._tracks.values())

    def stats(self) -> dict[str, Any]:
        """What it believes and how well, as plain JSON values."""
        return {
            "path_kbps": round(8e-3 / self.path.s_per_byte, 1),
            "path_error": round(self.path.error, 3),
            "explored_share": round(self.explored_s / self.spent_s, 4) if self.spent_s else 0.0,
            "kinds": {
                kind.value: {
                    "messages_learned": track.predictor.updates,
                    "size_error": round(track.predictor.size_error, 3),
                    "cpu_error": round(track.predictor.cpu_error, 3),
                    "fallback": not track.sound,
                    "methods": sorted({track.methods[held.index].name for held in track.held.values()}),
                }
                for kind, track in self._tracks.items()
            },
        }

    def to_state(self) -> dict[str, Any]:
        """What was learned, as plain JSON values; the path is not in it, for clients come and go."""
        return {
            "version": STATE_VERSION,
            "kinds": {kind.value: track.predictor.to_state() for kind, track in self._tracks.items()},
        }

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `to_state` told. Raises ValueError for anything else; then nothing has changed."""
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"version is {state['version']!r}")
            tracks: dict[DataKind, _Track] = {}
            for name, told in state["kinds"].items():
                kind = DataKind(name)
                tracks[kind] = _Track(kind, self._profile)
                tracks[kind].predictor.take_state(told)
        except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        self._tracks |= tracks

    def _track(self, kind: DataKind) -> _Track:
        track = self._tracks.get(kind)
        if track is None:
            track = self._tracks[kind] = _Track(kind, self._profile)
        return track

    def _cheapest(
        self, track: _Track, held: _Held | None, costs: Array, allowed: npt.NDArray[np.bool_]
    ) -> int:
        if not track.sound or self.path.error > UNSTEADY:
            return track.fixed
        best = int(np.where(allowed, costs, np.inf).argmin())
        current = track.fixed if held is None else held.index
        stays = allowed[current] and costs[best] >= (1 - self._profile.hysteresis) * costs[current]
        return current if stays else best

    def _rival(
        self, track: _Track, costs: Array, forecast: Forecast, index: int, now: float
    ) -> Method | None:
        """A method that may well be cheaper than the chosen one, if its CPU time may be spent to find out."""
        if self._chance() >= EXPLORE_CHANCE:
            return None
        left_s = min(self._profile.explore_share * self.spent_s - self.explored_s, self._budget.left(now))
        hopeful = costs * np.exp(-2 * track.doubt(forecast.spread))
        hopeful[forecast.cpu_s > left_s] = np.inf
        hopeful[index] = np.inf
        rival = int(hopeful.argmin())
        return track.methods[rival] if hopeful[rival] < costs[index] else None


@dataclass(slots=True)
class _Held:
    """The choice for messages of one kind, between two powers of two in size."""

    index: int
    reuses: int
    s_per_byte: float

    def holds(self, path: PathModel) -> bool:
        """Whether the path is as it was when this was chosen."""
        return 1 / _SAME_PATH < path.s_per_byte / self.s_per_byte < _SAME_PATH


class _Track:
    """One kind of data: its methods, their models, and whether these are to be believed."""

    __slots__ = (
        "_error",
        "compared_at",
        "fixed",
        "held",
        "methods",
        "numbers",
        "predictor",
        "probe_ratio",
        "sound",
    )

    def __init__(self, kind: DataKind, profile: CompressionProfile) -> None:
        self.methods = methods_for(kind, profile)
        self.numbers = {method: number for number, method in enumerate(self.methods)}
        self.fixed = self.numbers[fixed_method(kind, profile)]
        self.predictor = Predictor(
            self.methods, priors.of_samples if kind is DataKind.SAMPLES else priors.of_text
        )
        self.held: dict[int, _Held] = {}
        self.compared_at = np.zeros(len(self.methods))
        self.probe_ratio = 0.5
        self.sound = True
        self._error = SOUND

    def doubt(self, spread: Array) -> Array:
        """The forecasts' spread, and more for methods that were long compared with none."""
        stale = np.minimum((self.predictor.updates - self.compared_at) / _STALE_AFTER, 1.0)
        doubt: Array = spread + _STALE_SPREAD * stale
        return doubt

    def judge(self, error: float) -> None:
        """Take one forecast's error into account."""
        self._error += _MEMORY * (min(error, 2.0) - self._error)
        self.sound = self._error < (UNSOUND if self.sound else SOUND)
