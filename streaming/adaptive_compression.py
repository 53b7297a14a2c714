"""Compression that follows network and data: one group's controller, fed by what is sent and acked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from streaming.compression import CompressionHandler
from streaming.core.levels import CPU_BURST_S, CPU_S_PER_S, DataKind, LevelController, Plan
from streaming.core.network import NetworkCondition, NetworkEstimator, SlidingRate
from streaming.core.patterns import DataPattern
from streaming.core.predictor import Outcome
from streaming.core.token_bucket import TokenBucket
from streaming.ecg.pattern import TYPICAL_GAIN_UV, pattern_of

SAMPLE_S = 1.0
_FRAMES_SEEN = 20
"""Two seconds of live frames: at least one beat."""
_WORST_LAST = tuple(NetworkCondition)


class AdaptiveCompression:
    """Steers a `CompressionHandler`: level and method of whatever it compresses but shared waveforms.

    The path is learned from `observe_delivery`, or, where `network` gives the estimators of a group's
    viewers, from these: what counts is the mean time that a byte takes to one of them. `arrhythmia` says
    whether the group's rhythm is suspicious now. `budget` holds CPU seconds, and may be shared by the groups
    of a process. From its construction on the handler's `steering` is this object; `start_monitoring` only
    adds the reading of network and throughput each second. Not to be shared between threads.
    """

    def __init__(
        self,
        handler: CompressionHandler,
        *,
        network: Callable[[], Collection[NetworkEstimator]] | None = None,
        arrhythmia: Callable[[], bool] = lambda: False,
        budget: TokenBucket | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.handler = handler
        self._clock = clock
        self._own = NetworkEstimator()
        self._network = network
        self._arrhythmia = arrhythmia
        self._controller = LevelController(
            budget or TokenBucket(CPU_S_PER_S, CPU_BURST_S, clock()), chance=chance, profile=handler.profile
        )
        self._level = handler.profile.level
        self._condition = NetworkCondition.EXCELLENT
        self._seen: deque[npt.NDArray[Any]] = deque(maxlen=_FRAMES_SEEN)
        self._gain_uv = TYPICAL_GAIN_UV
        self._bytes_in = 0
        self._flow = SlidingRate()
        self._monitor: asyncio.Task[None] | None = None
        handler.steering = self

    async def start_monitoring(self) -> None:
        """Take a reading every second, until `stop_monitoring`."""
        if self._monitor is None:
            self._monitor = asyncio.create_task(self._watch(), name="vital-adaptive")

    async def stop_monitoring(self) -> None:
        """End the readings; compression stays adaptive."""
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await monitor

    async def compress_with_adaptation(
        self, data: Any, metadata: Mapping[str, Any] | None = None
    ) -> tuple[bytes, dict[str, Any]]:
        """`CompressionHandler.compress` by the method that the forecasts favour, at once and without a wait.

        The metadata is the caller's, what `decompress` needs, and adaptive_level (1-9), network_condition
        and data_pattern. `gain_uv` in the caller's, microvolts a step, helps to tell a flat line.
        """
        given = dict(metadata or {})
        if isinstance(data, np.ndarray) and data.ndim and data.dtype.kind in "if":
            self._gain_uv = float(given.get("gain_uv", TYPICAL_GAIN_UV))
            self._seen.clear()
            self.saw(data)
        body, facts = self.handler.compress(data)
        return body, given | facts | {
            "adaptive_level": facts["level"],
            "network_condition": self.network_condition.value,
            "data_pattern": self.data_pattern.value,
        }

    def observe_delivery(self, size_bytes: int, seconds: float, *, rtt_s: float | None = None) -> None:
        """So many bytes took so long on their way (without the round trip), as an ack tells."""
        if size_bytes <= 0 or seconds <= 0:
            raise ValueError("size and time of a delivery must be positive")
        now = self._clock()
        self._controller.path.learn(size_bytes, seconds)
        self._own.on_delivery(size_bytes / seconds, now, app_limited=False)
        if rtt_s is not None:
            self._own.on_rtt(rtt_s, now)

    def sample(self) -> None:
        """Take one reading of network and throughput; `start_monitoring` does that every second."""
        now = self._clock()
        if self._network is not None:
            viewers = self._network()
            rates = [viewer.delivery_rate for viewer in viewers if viewer.delivery_rate]
            if rates:
                self._controller.path.learn(1, sum(1 / rate for rate in rates) / len(rates))
            conditions = [viewer.condition for viewer in viewers]
            self._condition = max(conditions, key=_WORST_LAST.index, default=NetworkCondition.EXCELLENT)
        else:
            self._condition = self._own.assess(now)
        bytes_in = self.handler.bytes_in
        self._flow.add(max(0, bytes_in - self._bytes_in), now)
        self._bytes_in = bytes_in

    def get_adaptation_stats(self) -> dict[str, Any]:
        """What it does now, as plain JSON values.

        `performance` is of all that the handler compressed: latency and ratio are means since its start or
        `reset_stats`, throughput is in 10^6 uncompressed bits a second over the last ten seconds of
        monitoring. `predictor` tells how well the forecasts hold, and what is chosen.
        """
        compression = self.handler.get_compression_stats()
        return {
            "current_level": self._level,
            "network_condition": self.network_condition.value,
            "data_pattern": self.data_pattern.value,
            "adaptation_count": self._controller.adaptations,
            "performance": {
                "latency_ms": compression["average_latency_ms"],
                "compression_ratio": compression["average_compression_ratio"],
                "throughput_mbps": self.throughput_mbps,
            },
            "predictor": self._controller.stats(),
        }

    @property
    def throughput_mbps(self) -> float:
        """10^6 uncompressed bits a second over the last ten seconds of monitoring."""
        return 8e-6 * self._flow.per_second(self._clock())

    @property
    def network_condition(self) -> NetworkCondition:
        """The worst of the group's viewers, or what `observe_delivery` says."""
        if self._network is None:
            self._condition = self._own.assess(self._clock())
        return self._condition

    @property
    def data_pattern(self) -> DataPattern:
        """Of the last samples: those of the last message, or two seconds of the group's frames."""
        seen = list(self._seen)
        alike = [np.atleast_2d(each) for each in seen if each.shape[:-1] == seen[-1].shape[:-1]]
        samples = np.concatenate(alike, axis=-1) if alike else np.empty((1, 0))
        return pattern_of(samples, gain_uv=self._gain_uv, arrhythmia=self._arrhythmia())

    @property
    def messages_learned(self) -> int:
        """Grows with what there is to keep."""
        return self._controller.updates

    def frame_duration_s(self, plain_bytes_per_s: float, kind: DataKind = DataKind.TEXT) -> float:
        """For how long to gather data that is no shared waveform before it is sent."""
        return self._controller.frame_duration_s(kind, plain_bytes_per_s)

    def export_state(self) -> dict[str, Any]:
        """What was learned, as plain JSON values, for `import_state` of a later process."""
        return self._controller.to_state()

    def import_state(self, state: Any) -> None:
        """Go on from an exported state. Raises ValueError for what is none, and is then as before."""
        self._controller.take_state(state)

    def plan(self, kind: DataKind, plain: bytes) -> Plan:
        """The handler asks how to send `plain`."""
        self._controller.profile = self.handler.profile
        plan = self._controller.plan(kind, plain, self._clock())
        self._level = plan.method.level
        return plan

    def learn(self, plan: Plan, one: Outcome, other: Outcome | None) -> None:
        """The handler tells what came of it."""
        self._controller.learn(plan, one, self._clock(), other)

    def saw(self, samples: npt.NDArray[Any]) -> None:
        """The handler encoded a frame of the group; looked at when somebody asks for the pattern."""
        self._seen.append(samples)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            self.sample()
