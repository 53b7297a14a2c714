"""The settings of a running handler under the names that the documentation gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from streaming.core.priority import MessagePriority
from streaming.core.profiles import BackpressureProfile

_T = TypeVar("_T")


class _Setting(Generic[_T]):
    """A field of the profile in force."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __get__(self, config: BackpressureConfig, owner: type[BackpressureConfig]) -> _T:
        value: _T = getattr(config.read(), self._field)
        return value

    def __set__(self, config: BackpressureConfig, value: _T) -> None:
        config.amend(self._field, value)


class BackpressureConfig:
    """Settings to read and to assign; ProfileError (a ValueError) when one would be out of bounds.

    An assignment governs every group of the handler, each until its next profile.
    """

    MAX_BUFFER_SIZE = _Setting[int]("max_buffer_size")
    HIGH_WATERMARK = _Setting[float]("high_watermark")
    LOW_WATERMARK = _Setting[float]("low_watermark")
    CRITICAL_WATERMARK = _Setting[float]("critical_watermark")
    MAX_RETRIES = _Setting[int]("max_retries")
    PRIORITY_QUOTAS = _Setting[Mapping[MessagePriority, float]]("quotas")

    def __init__(self, read: Callable[[], BackpressureProfile], amend: Callable[[str, object], None]) -> None:
        self.read = read
        self.amend = amend
