"""What a stream is: whose it is, which leads it has, and how its numbers become microvolts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """Where the samples come from; the server decides, and every view shows it."""

    LIVE = "LIVE"
    SIM = "SIM"
    REPLAY = "REPLAY"


@dataclass(frozen=True, slots=True)
class Lead:
    """One signal: microvolts = (sample - baseline) * gain_uv."""

    name: str
    gain_uv: float
    baseline: int = 0
    adc_bits: int = 16


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One epoch of one stream: all that a receiver needs to place and scale its samples.

    `patient` is the pseudonym, never a name. `rate_hz` is the nominal sampling rate.
    """

    stream: str
    epoch: int
    patient: str
    ward: str
    source: Source
    rate_hz: float
    leads: tuple[Lead, ...]

    @property
    def group(self) -> str:
        """The channel-layer group that carries this stream."""
        return group_of(self.stream)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the channel layer."""
        return asdict(self) | {"source": self.source.value, "leads": [asdict(lead) for lead in self.leads]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StreamInfo:
        """The inverse of `to_dict`."""
        fields = dict(values)
        fields["source"] = Source(fields["source"])
        fields["leads"] = tuple(Lead(**lead) for lead in fields["leads"])
        return cls(**fields)


_PREFIX = "ecg."


def group_of(stream: str) -> str:
    """The channel-layer group of a stream's waveforms, vitals and gaps."""
    return f"{_PREFIX}{stream}"


def stream_of(group: str) -> str | None:
    """The inverse of `group_of`; None for a group of no stream."""
    return group.removeprefix(_PREFIX) if group.startswith(_PREFIX) else None
