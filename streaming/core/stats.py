"""What one process did, in all and for one channel-layer group, in the numbers and names of the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """Figures of one group in one process, over all of the group's local viewers.

    Sizes and counters are sums over the viewers' lanes (counters since the process started, or
    since the group had neither viewers nor a device here);
    `buffer_utilization` and `pressure` are the fullest lane's; a state is true when it is true for any
    viewer. An average of nothing is None. `detail` holds what has no field of its own, as plain JSON
    values; its key "adaptive", when there, is laid out as `AdaptiveCompression.get_adaptation_stats()`.
    """

    group: str
    viewers: int
    viewers_lossless: int = 0
    """Those who are sent the stream as this quality, and so on."""
    viewers_diagnostic: int = 0
    viewers_display: int = 0
    viewers_overview: int = 0
    viewers_vitals: int = 0
    viewers_excellent: int = 0
    """Those whose network is in this condition, and so on."""
    viewers_good: int = 0
    viewers_fair: int = 0
    viewers_poor: int = 0
    viewers_critical: int = 0

    buffer_size: int = 0
    """Messages queued."""
    buffer_bytes: int = 0
    buffer_utilization: float = 0.0
    """Size / MAX_BUFFER_SIZE, 0 to 1."""
    pressure: float = 0.0
    """What the watermarks act on: of count, bytes and age, whichever is nearest to its bound; 1 is full."""
    high_watermark: float = 0.0

    offered_messages: int = 0
    sent_messages: int = 0
    dropped_messages: int = 0
    """Dropped or expired."""
    drops_expired: int = 0
    """Of the dropped ones those for this reason, and so on."""
    drops_dropped: int = 0
    drops_quota: int = 0
    drops_emergency: int = 0
    drops_overload: int = 0
    drop_rate: float = 0.0
    """(expired + dropped) / offered, 0 to 1."""
    messages_per_second: float = 0.0
    bytes_sent: int = 0
    gaps: int = 0
    """GAP messages sent in place of frames."""

    backpressure_active: bool = False
    emergency_mode: bool = False
    paused: bool = False

    current_level: int = 0
    """Deflate level, 1 to 9; 0 when nothing is compressed."""
    messages_processed: int = 0
    average_compression_ratio: float | None = None
    """100 * (1 - out / in) over the bytes given, percent."""
    ratio_vs_json: float | None = None
    """100 * (1 - out / the same samples as JSON), percent."""
    average_latency_ms: float | None = None
    space_saved_mb: float = 0.0
    compress_s: float = 0.0
    """Spent on compressing since the start; so are the bytes below."""
    bytes_in: int = 0
    bytes_out: int = 0
    waveform_bytes_out: int = 0
    waveform_json_bytes: int = 0
    """The same samples as JSON."""

    network_condition: str = ""
    """The worst of the group's viewers; empty where nothing is adapted."""
    throughput_mbps: float | None = None
    """10^6 uncompressed bits a second, mean of the last 10 s."""

    age_p50_ms: float | None = None
    """From the device's socket to a viewer's acknowledgement, of the group's messages that were followed in
    the last five minutes; the other percentiles and stages are of the same messages."""
    age_p95_ms: float | None = None
    age_p99_ms: float | None = None
    encode_p95_ms: float | None = None
    """From the first sample of a frame to its encoding: the frame's own duration is in it."""
    queue_p95_ms: float | None = None
    """In the viewer's queue."""
    followed_messages: int = 0

    overload: str = ""
    """State of the process; so are the two below."""
    loop_lag_ms: float = 0.0
    """How late the event loop's timers are."""
    rss_mb: float = 0.0
    """Memory that is resident, 10^6 bytes; 0 where the system does not tell."""

    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Any]:
        """The same figures as the three dicts that the metrics' users know, and the others beside them."""
        return {
            "compression": self._named(
                "current_level messages_processed average_compression_ratio ratio_vs_json "
                "average_latency_ms space_saved_mb compress_s bytes_in bytes_out waveform_bytes_out "
                "waveform_json_bytes"
            ),
            "backpressure": {
                "buffer": {
                    "size": self.buffer_size,
                    "size_bytes": self.buffer_bytes,
                    "utilization": self.buffer_utilization,
                    "pressure": self.pressure,
                    "high_watermark": self.high_watermark,
                },
                "performance": self._named(
                    "offered_messages sent_messages dropped_messages drops_expired drops_dropped drops_quota "
                    "drops_emergency drops_overload drop_rate messages_per_second bytes_sent gaps"
                ),
                "state": self._named("backpressure_active emergency_mode paused"),
            },
            "viewers": self._named(
                "viewers viewers_lossless viewers_diagnostic viewers_display viewers_overview viewers_vitals "
                "viewers_excellent viewers_good viewers_fair viewers_poor viewers_critical"
            ),
            "network": self._named("network_condition throughput_mbps"),
            "latency": self._named(
                "age_p50_ms age_p95_ms age_p99_ms encode_p95_ms queue_p95_ms followed_messages"
            ),
            "process": self._named("overload loop_lag_ms rss_mb"),
            **self.detail,
        }

    def _named(self, names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """What a whole process used and did since it began, and holds now; counters never go down."""

    cpu_s: float
    """User and system time, of all threads."""
    rss_mb: float
    """Memory that is resident, 10^6 bytes; 0 where the system does not tell."""
    loop_lag_ms: float
    overload: str
    streams: int
    """That devices write here now."""
    viewers: int
    viewer_streams: int
    """Streams that viewers watch, counted for each viewer."""
    chunks: int
    """That came from devices."""
    lead_samples: int
    """That were in them, each lead's by itself."""
    sent_messages: int
    """Logical ones, written to viewers for streams."""
    websocket_messages: int
    """In which they left."""
    bytes_sent: int
    queued_bytes: int


@dataclass(frozen=True, slots=True)
class CompressionTotals:
    """What compressing has come to, over any number of groups."""

    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    def plus(self, handlers: Iterable[Mapping[str, Any]]) -> CompressionTotals:
        """With these as well, each laid out as `CompressionHandler.get_compression_stats()`."""
        messages, bytes_in, bytes_out, seconds = self.messages, self.bytes_in, self.bytes_out, self.seconds
        for stats in handlers:
            messages += stats["messages_processed"]
            bytes_in += stats["bytes_in"]
            bytes_out += stats["bytes_out"]
            seconds += stats["messages_processed"] * stats["average_latency_ms"] / 1000
        return CompressionTotals(messages, bytes_in, bytes_out, seconds)
