"""What a message will cost by each method: bytes, CPU time and delivery time, learned while they are sent."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.core.deflate import Method
from streaming.core.priors import TYPICAL_BYTES, TYPICAL_PROBE, Weights

Array = npt.NDArray[np.float64]
Outcome = tuple[int, float]
"""Bytes, and CPU seconds."""

PROBE_BYTES = 1024
_FORGETTING = 0.98
"""Weight of the former messages at each new one: fifty of them count."""
_COMMON_VARIANCE = 1.0
_DIFFERENCE_VARIANCE = 0.5
"""Of the weights before the first message, as multiples of the noise's."""
_MAX_VARIANCE = 4.0
"""Forgetting pauses where a model knows less than this."""
_NOISE, _PAIR_NOISE = 0.1, 0.03
"""First guess of how far the forecast of a message is off, and that of a difference, as shares."""
_YOUNG = 3
_WORST_RATIO = 0.1
_MEMORY = 1 / 16
"""Weight of a new error in the mean errors."""
_OUTLIER = 0.5
"""A time that is off by more than this (as a logarithm) is taken for this much: other work ran meanwhile."""
_RATE_MEMORY = 0.4
UNMEASURED_S_PER_BYTE = 1 / 40960
"""What the network estimate gives a path credit for before anything is known of it."""
_FEATURES = 4
_SHARED = 3
"""Those that a difference depends on: all but the last ratio."""
_TARGETS = 2
_LIMIT = 50.0
"""No weight of a sound model comes near; e^50 is beyond every size and time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a glance at a message tells: its size, and how far deflate at level 1 shrinks 1 KiB of it."""

    size_bytes: int
    probe_ratio: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Per method, in their order: bytes, CPU seconds, and how unsure its difference is (one deviation)."""

    size_bytes: Array
    cpu_s: Array
    spread: Array


def glance(plain: bytes) -> Chunk:
    """The features of a message, in some 10 us whatever its size."""
    # From the middle: JSON opens with what does not come again.
    begin = max(0, (len(plain) - PROBE_BYTES) // 2)
    sample = plain[begin : begin + PROBE_BYTES]
    probe = zlib.compressobj(1, zlib.DEFLATED, -12, 5)
    size = len(probe.compress(sample)) + len(probe.flush())
    return Chunk(len(plain), size / max(1, len(sample)))


class Predictor:
    """What one kind of data does (one model for all methods), and by how much each method differs from it.

    Both are linear models of two logarithms, the ratio and the CPU time a byte, by recursive least squares
    with exponential forgetting (Ljung 1999, 11.2). It differs in that forgetting pauses where a model's
    variance is at its bound, so that constant data does not blow it up, and in that errors of CPU time are
    clipped. The common model learns from every message. A method's difference is learned from pairs alone,
    one message by two methods: how well a message compresses varies by 9 % around what the glance
    foretells, and would hide differences between levels of 2 %. `methods` begins with the fixed choice.
    """

    def __init__(self, methods: Sequence[Method], prior: Callable[[Method], Weights]) -> None:
        self.methods = tuple(methods)
        self.updates = 0
        self.size_error = self.cpu_error = _NOISE
        """Mean error of the forecasts, as a share; each was made before its message was sent."""
        priors = np.array([prior(method) for method in self.methods])
        self._common = _Model(priors[0], _COMMON_VARIANCE)
        self._differences = [
            _Model((weights - priors[0])[:, :_SHARED], _DIFFERENCE_VARIANCE) for weights in priors
        ]
        self._pair_error = _PAIR_NOISE
        self._last = 0.0
        self._gather()

    def predict(self, chunk: Chunk) -> Forecast:
        """What the message would cost by each method."""
        features = self._features(chunk)
        shared = features[:_SHARED]
        logs = self._common.weights @ features + self._weights @ shared
        ratio = np.exp(np.minimum(logs[:, 0], _WORST_RATIO))
        doubt = (self._variance @ shared) @ shared
        return Forecast(
            chunk.size_bytes * ratio, chunk.size_bytes * np.exp(logs[:, 1]), self._pair_error * np.sqrt(doubt)
        )

    def learn(self, index: int, chunk: Chunk, size_bytes: int, cpu_s: float) -> None:
        """The message became so many bytes in so many seconds by method number `index`."""
        features = self._features(chunk)
        logs = _logs(chunk, size_bytes, cpu_s)
        errors = self._common.learn(features, logs - self._weights[index] @ features[:_SHARED])
        self.size_error += _MEMORY * (min(abs(errors[0]), 1.0) - self.size_error)
        self.cpu_error += _MEMORY * (min(abs(errors[1]), 1.0) - self.cpu_error)
        self._last = float(logs[0])
        self.updates += 1

    def learn_pair(self, index: int, rival: int, chunk: Chunk, one: Outcome, other: Outcome) -> None:
        """The same message by two methods; what differs from the forecast is put down to the rival."""
        shared = self._features(chunk)[:_SHARED]
        target = _logs(chunk, *other) - _logs(chunk, *one) + self._weights[index] @ shared
        model = self._differences[rival]
        errors = model.learn(shared, target)
        self._pair_error += _MEMORY * (min(abs(errors[0]), 1.0) - self._pair_error)
        self._weights[rival], self._variance[rival] = model.weights, model.variance

    def to_state(self) -> dict[str, Any]:
        """What was learned, as plain JSON values."""
        return {
            "updates": self.updates,
            "errors": [self.size_error, self.cpu_error, self._pair_error],
            "last": self._last,
            "common": self._common.to_state(),
            "differences": {
                method.name: model.to_state()
                for method, model in zip(self.methods, self._differences, strict=True)
            },
        }

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `to_state` told, as far as the methods are the same.

        Raises AttributeError, KeyError, TypeError or ValueError for what is none; nothing has changed then.
        """
        common = _Model.of_state(state["common"], _FEATURES)
        differences = [
            model
            if (told := state["differences"].get(method.name)) is None
            else _Model.of_state(told, _SHARED)
            for method, model in zip(self.methods, self._differences, strict=True)
        ]
        errors = _finite(state["errors"], (3,))
        last = _finite([state["last"]], (1,))
        self.updates = _count(state["updates"])
        self.size_error, self.cpu_error, self._pair_error = np.abs(errors).tolist()
        self._last = float(last[0])
        self._common, self._differences = common, differences
        self._gather()

    def _features(self, chunk: Chunk) -> Array:
        size = math.log(chunk.size_bytes / TYPICAL_BYTES)
        return np.array((1.0, size, math.log(chunk.probe_ratio / TYPICAL_PROBE), self._last))

    def _gather(self) -> None:
        """All methods' differences side by side, for one product per forecast."""
        self._weights = np.stack([model.weights for model in self._differences])
        self._variance = np.stack([model.variance for model in self._differences])


class _Model:
    """Two linear models on the same features, so that one gain serves both."""

    __slots__ = ("_count", "variance", "weights")

    def __init__(self, weights: Array, variance: float, count: int = 0) -> None:
        self.weights = np.array(weights)
        self.variance = np.eye(weights.shape[1]) * variance
        self._count = count

    def learn(self, features: Array, targets: Array) -> Array:
        """Take one observation into account; returns by how much the forecast was off."""
        errors: Array = targets - self.weights @ features
        believed = errors
        if self._count >= _YOUNG:
            believed = np.array((errors[0], min(max(errors[1], -_OUTLIER), _OUTLIER)))
        spread = self.variance @ features
        gain = spread / (_FORGETTING + float(spread @ features))
        self.weights += believed[:, None] * gain
        self.variance -= gain[:, None] * spread
        if self.variance.trace() < _MAX_VARIANCE:
            self.variance /= _FORGETTING
        self._count += 1
        return errors

    def to_state(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "count": self._count,
            "weights": np.round(self.weights, 6).tolist(),
            "variance": np.round(self.variance, 9).tolist(),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any], features: int) -> _Model:
        """The inverse."""
        model = cls(_finite(state["weights"], (_TARGETS, features)), 0.0, _count(state["count"]))
        model.variance = _covariance(state["variance"], features)
        return model


class PathModel:
    """Seconds that one more byte takes to a client: the delivery's part of a forecast.

    What every method pays alike, the round trip, is left out. A mean of logarithms, because rates span four
    decades; it forgets half within two observations, because links change at once.
    """

    def __init__(self) -> None:
        self.s_per_byte = UNMEASURED_S_PER_BYTE
        self.error = 0.0
        """Mean error of its forecasts, as a share."""
        self._known = False

    def learn(self, size_bytes: int, seconds: float) -> None:
        """So many bytes took so long on the way."""
        observed = max(seconds, 1e-9) / size_bytes
        if not self._known:
            self._known, self.s_per_byte = True, observed
            return
        error = math.log(observed / self.s_per_byte)
        self.error += _MEMORY * (min(abs(error), 1.0) - self.error)
        self.s_per_byte *= math.exp(_RATE_MEMORY * error)


def _logs(chunk: Chunk, size_bytes: int, cpu_s: float) -> Array:
    return np.array(
        (math.log(max(size_bytes, 1) / chunk.size_bytes), math.log(max(cpu_s, 1e-7) / chunk.size_bytes))
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("not a count")
    return value


def _finite(values: Any, shape: tuple[int, ...]) -> Array:
    array = np.array(values, np.float64)
    if array.shape != shape or not (np.abs(array) < _LIMIT).all():
        raise ValueError(f"not {shape} sound numbers")
    return array


def _covariance(values: Any, features: int) -> Array:
    array = _finite(values, (features, features))
    # Rounded, it may have lost the last bit of its symmetry; far from symmetric, it never was one.
    if not np.allclose(array, array.T, atol=1e-6) or np.linalg.eigvalsh(array).min() < -1e-6:
        raise ValueError("not a covariance")
    symmetric: Array = (array + array.T) / 2 + 1e-6 * np.eye(features)
    return symmetric
