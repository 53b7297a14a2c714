"""Every snippet of the specification runs as it stands there, but for the import path.

The snippets are copied whole. `backend.app.websocket.X` is `streaming.X` here; what they use without making
it (the data, a socket, FastAPI's type) is given to them. Awaits at their top level run as in a coroutine.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import logging
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from streaming import backpressure, compression
from streaming.adaptive_compression import AdaptiveCompression
from streaming.backpressure import BackpressureHandler, MessagePriority
from streaming.compression import CompressionHandler, get_compression_handler
from streaming.core.profiles import BackpressureProfile
from tests.fakes import FakeSocket, virtual_time
from tests.servers import ROOT

ECG = np.cumsum(np.random.default_rng(0).integers(-9, 10, (2, 500)), axis=1).astype(np.int16)

COMPRESSION_SETTINGS = """
# Optimal for ECG medical data
WINDOW_BITS = 12          # 4KB window
MEM_LEVEL = 5             # Balance speed/memory
COMPRESSION_LEVEL = 6     # Default level
COMPRESSION_THRESHOLD = 1024  # Minimum size for compression
"""

BACKPRESSURE_SETTINGS = """
MAX_BUFFER_SIZE = 10_000   # Maximum messages
HIGH_WATERMARK = 0.8       # Activate at 80%
LOW_WATERMARK = 0.2        # Deactivate at 20%
CRITICAL_WATERMARK = 0.95  # Emergency at 95%
MAX_RETRIES = 3           # Retry attempts
"""

PRIORITY_QUOTAS = """
PRIORITY_QUOTAS = {
    MessagePriority.CRITICAL: 0.30,  # 30% buffer
    MessagePriority.HIGH: 0.40,      # 40% buffer
    MessagePriority.NORMAL: 0.20,   # 20% buffer
    MessagePriority.LOW: 0.08,       # 8% buffer
    MessagePriority.BULK: 0.02       # 2% buffer
}
"""

PRIORITIES = """
class MessagePriority(IntEnum):
    CRITICAL = 1    # Anomaly alerts, life-threatening arrhythmias
    HIGH = 2        # Real-time ECG data, vital signs
    NORMAL = 3      # Status updates, patient info
    LOW = 4         # Metrics, logs, non-critical data
    BULK = 5        # Historical data, batch processing
"""

BASIC_COMPRESSION = """
from backend.app.websocket.compression import get_compression_handler

# Get compression handler
compression = get_compression_handler()

# Compress ECG data
ecg_data = get_ecg_signal()
compressed, metadata = compression.compress(ecg_data)

print(f"Compression ratio: {metadata['compression_ratio']:.1f}%")
print(f"Compression time: {metadata['compression_time_ms']:.2f}ms")
"""

BACKPRESSURE_HANDLING = """
from backend.app.websocket.backpressure import BackpressureHandler, MessagePriority

# Create handler
handler = BackpressureHandler(websocket)

# Send messages with priority
await handler.send_with_backpressure(
    ecg_data,
    priority=MessagePriority.HIGH
)

# Get metrics
metrics = handler.get_metrics()
print(f"Buffer utilization: {metrics.buffer_utilization:.1%}")
print(f"Drop rate: {metrics.drop_rate:.2%}")
"""

ADAPTIVE_COMPRESSION = """
from backend.app.websocket.adaptive_compression import AdaptiveCompression

# Create adaptive system
adaptive = AdaptiveCompression(compression_handler)

# Start monitoring
await adaptive.start_monitoring()

# Compress with adaptation
compressed, metadata = await adaptive.compress_with_adaptation(
    ecg_data,
    metadata={'sample_rate': 250, 'patient_id': '123'}
)

print(f"Adaptive level: {metadata['adaptive_level']}")
print(f"Network condition: {metadata['network_condition']}")
"""

COMPRESSION_METRICS = """
stats = compression.get_compression_stats()
# {
#     'current_level': 6,
#     'messages_processed': 1000,
#     'average_compression_ratio': 78.5,
#     'average_latency_ms': 8.2,
#     'space_saved_mb': 15.7
# }
"""

BACKPRESSURE_METRICS = """
metrics = handler.get_detailed_metrics()
# {
#     'buffer': {
#         'size': 2500,
#         'utilization': 0.25,
#         'high_watermark': 0.8
#     },
#     'performance': {
#         'sent_messages': 9500,
#         'dropped_messages': 50,
#         'drop_rate': 0.005,
#         'messages_per_second': 850.0
#     },
#     'state': {
#         'backpressure_active': False,
#         'emergency_mode': False,
#         'paused': False
#     }
# }
"""

ADAPTIVE_METRICS = """
stats = adaptive.get_adaptation_stats()
# {
#     'current_level': 6,
#     'network_condition': 'good',
#     'data_pattern': 'normal',
#     'adaptation_count': 15,
#     'performance': {
#         'latency_ms': 7.8,
#         'compression_ratio': 82.3,
#         'throughput_mbps': 5.2
#     }
# }
"""

LOAD_TESTS = """
# High volume test (10,000 messages)
python -m pytest tests/test_backpressure.py::TestBackpressureLoad::test_high_volume_message_processing

# Sustained load test (5 seconds @ 100 msg/s)
python -m pytest tests/test_backpressure.py::TestBackpressureLoad::test_sustained_load
"""

UNIT_TESTS = """
# Run compression tests
python -m pytest tests/test_compression.py -v

# Run backpressure tests
python -m pytest tests/test_backpressure.py -v
"""

BENCHMARK = """
# Compression benchmark
compression.benchmark_compression(ecg_data, iterations=1000)

# Results:
# - Compression: 8.2ms avg
# - Decompression: 3.1ms avg
# - Compression Ratio: 78.5% avg
# - Throughput: 12.4 Mbps
"""

HIGH_LATENCY = "compression.optimize_for_ecg_data(sample_rate=500)"
HIGH_DROP_RATE = "handler.config.MAX_BUFFER_SIZE = 20000"
MEMORY_USAGE = "compression.reset_stats()"

DEBUG_TOOLS = """
# Enable debug logging
import logging
logging.getLogger('backend.app.websocket').setLevel(logging.DEBUG)

# Monitor performance in real-time
async def monitor():
    while True:
        metrics = handler.get_detailed_metrics()
        print(f"Buffer: {metrics['buffer']['utilization']:.1%}")
        print(f"Drop Rate: {metrics['performance']['drop_rate']:.2%}")
        await asyncio.sleep(1)
"""

WEBSOCKET_INTEGRATION = """
from fastapi import WebSocket
from backend.app.websocket.compression import get_compression_handler
from backend.app.websocket.backpressure import BackpressureHandler

class ECGWebSocketHandler:
    def __init__(self):
        self.compression = get_compression_handler()
        self.backpressure = None

    async def connect(self, websocket: WebSocket):
        await websocket.accept()
        self.backpressure = BackpressureHandler(websocket)
        await self.backpressure.start_monitoring()

    async def send_ecg_data(self, data: bytes):
        if not self.backpressure:
            return

        # Compress data
        compressed, _ = self.compression.compress(data)

        # Send with high priority
        await self.backpressure.send_with_backpressure(
            compressed,
            MessagePriority.HIGH
        )
"""

PRODUCTION = """
# Production configuration
compression_config = {
    'enable_adaptive': True,
    'optimize_for_ecg': True,
    'performance_monitoring': True
}

backpressure_config = {
    'max_buffer_size': 20000,  # Larger for production
    'high_watermark': 0.75,     # Earlier activation
    'emergency_mode': True
}
"""


async def run(snippet: str, **given: Any) -> dict[str, Any]:
    """Run a snippet; what it knows afterwards."""
    source = snippet.replace("backend.app.websocket", "streaming")
    code = compile(source, "spec", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = dict(given)
    running = eval(code, names)
    if inspect.isawaitable(running):
        await running
    return names


def keys_shown(snippet: str) -> Any:
    """The value that a snippet shows in its comment."""
    lines = [line.removeprefix("#") for line in snippet.splitlines() if line.startswith("#")]
    return ast.literal_eval("\n".join(lines).strip())


def agree(told: Any, shown: Any) -> None:
    """Everything that is shown is told, and of the same type."""
    if isinstance(shown, dict):
        for key, value in shown.items():
            agree(told[key], value)
    else:
        assert type(told) is type(shown)


@pytest.fixture(autouse=True)
def shared_handler_as_new() -> Iterator[None]:
    get_compression_handler.cache_clear()
    yield
    get_compression_handler.cache_clear()


@pytest.fixture
def fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("fastapi")
    module.WebSocket = object  # type: ignore[attr-defined]  # an annotation is all that it is used for
    monkeypatch.setitem(sys.modules, "fastapi", module)


@pytest.mark.parametrize(
    ("snippet", "module"), [(COMPRESSION_SETTINGS, compression), (BACKPRESSURE_SETTINGS, backpressure)]
)
async def test_settings_are_shipped_as_they_are_written(snippet: str, module: ModuleType) -> None:
    names = await run(snippet)
    settings = {name: value for name, value in names.items() if name.isupper()}
    assert settings == {name: getattr(module, name) for name in settings}
    assert len(settings) >= 4


async def test_quotas_are_shipped_as_they_are_written() -> None:
    names = await run(PRIORITY_QUOTAS, MessagePriority=MessagePriority)
    assert names["PRIORITY_QUOTAS"] == dict(backpressure.PRIORITY_QUOTAS)


async def test_priorities_are_those_that_are_written() -> None:
    names = await run(PRIORITIES, IntEnum=IntEnum)
    assert {p.name: p.value for p in names["MessagePriority"]} == {p.name: p.value for p in MessagePriority}


@pytest.mark.parametrize("signal", [ECG, ECG.tolist(), ECG.tobytes()], ids=["array", "list", "bytes"])
async def test_basic_compression(signal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names = await run(BASIC_COMPRESSION, get_ecg_signal=lambda: signal)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Compression ratio: {names['metadata']['compression_ratio']:.1f}%"
    assert second.startswith("Compression time: ")
    assert 0 < names["metadata"]["compression_ratio"] < 100


async def test_backpressure_handling(capsys: pytest.CaptureFixture[str]) -> None:
    socket = FakeSocket()
    names = await run(BACKPRESSURE_HANDLING, websocket=socket, ecg_data=ECG.tobytes())
    assert socket.sent == [ECG.tobytes()]
    assert capsys.readouterr().out.splitlines() == ["Buffer utilization: 0.0%", "Drop rate: 0.00%"]
    await names["handler"].aclose()


async def test_adaptive_compression(capsys: pytest.CaptureFixture[str]) -> None:
    names = await run(ADAPTIVE_COMPRESSION, compression_handler=CompressionHandler(), ecg_data=ECG)
    level, condition = capsys.readouterr().out.splitlines()
    assert level in {f"Adaptive level: {number}" for number in range(1, 10)}
    assert condition == "Network condition: excellent"
    assert (names["metadata"]["sample_rate"], names["metadata"]["patient_id"]) == (250, "123")
    await names["adaptive"].stop_monitoring()


async def test_compression_metrics() -> None:
    handler = CompressionHandler()
    handler.compress(ECG)
    names = await run(COMPRESSION_METRICS, compression=handler)
    agree(names["stats"], keys_shown(COMPRESSION_METRICS))


async def test_backpressure_metrics() -> None:
    handler = BackpressureHandler(FakeSocket())
    names = await run(BACKPRESSURE_METRICS, handler=handler)
    agree(names["metrics"], keys_shown(BACKPRESSURE_METRICS))


async def test_adaptive_metrics() -> None:
    adaptive = AdaptiveCompression(CompressionHandler())
    await adaptive.compress_with_adaptation(ECG)
    names = await run(ADAPTIVE_METRICS, adaptive=adaptive)
    agree(names["stats"], keys_shown(ADAPTIVE_METRICS))


async def test_the_benchmark() -> None:
    handler = CompressionHandler()
    await run(BENCHMARK, compression=handler, ecg_data=ECG)
    results = handler.benchmark_compression(ECG, iterations=10)
    assert results.keys() >= {
        "compression_ms",
        "decompression_ms",
        "compression_ratio",
        "throughput_mbps",
    }


async def test_solutions_to_common_issues() -> None:
    compressing, handler = CompressionHandler(), BackpressureHandler(FakeSocket())
    compressing.compress(ECG)
    await run(HIGH_LATENCY, compression=compressing)
    assert compressing.profile.level < 6
    await run(MEMORY_USAGE, compression=compressing)
    assert compressing.get_compression_stats()["messages_processed"] == 0
    await run(HIGH_DROP_RATE, handler=handler)
    assert handler.config.MAX_BUFFER_SIZE == 20000


@virtual_time
async def test_debug_tools(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("streaming")
    level = log.level
    try:
        names = await run(DEBUG_TOOLS, handler=BackpressureHandler(FakeSocket()), asyncio=asyncio)
        assert log.level == logging.DEBUG
    finally:
        log.setLevel(level)
    monitoring = asyncio.create_task(names["monitor"]())
    await asyncio.sleep(2.5)
    monitoring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await monitoring
    assert capsys.readouterr().out.splitlines() == ["Buffer: 0.0%", "Drop Rate: 0.00%"] * 3


@pytest.mark.usefixtures("fastapi")
async def test_websocket_integration() -> None:
    class Accepting(FakeSocket):
        accepted = False

        async def accept(self) -> None:
            self.accepted = True

    # The snippet uses MessagePriority and does not import it.
    names = await run(WEBSOCKET_INTEGRATION, MessagePriority=MessagePriority)
    handler, socket = names["ECGWebSocketHandler"](), Accepting()
    await handler.send_ecg_data(b"nobody is there yet")
    await handler.connect(socket)
    await handler.send_ecg_data(ECG.tobytes())
    assert socket.accepted
    assert socket.sent == [handler.compression.compress(ECG.tobytes())[0]]
    await handler.backpressure.aclose()


async def test_production_deployment() -> None:
    names = await run(PRODUCTION)
    profile = BackpressureProfile(**names["backpressure_config"])
    assert (profile.max_buffer_size, profile.high_watermark, profile.emergency_mode) == (20000, 0.75, True)
    assert all(names["compression_config"].values())


@pytest.mark.parametrize("line", [*UNIT_TESTS.splitlines(), *LOAD_TESTS.splitlines()])
def test_the_tests_that_are_named_are_there(line: str) -> None:
    if not line.startswith("python"):
        return
    path, *names = line.split()[3].split("::")
    place: Any = ast.parse(Path(ROOT / path).read_text())
    for name in names:
        place = next(node for node in place.body if getattr(node, "name", None) == name)
