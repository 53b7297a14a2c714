"""Assemble the dictionary that JSON frames are deflated behind, and write it into the core.

    python -m bench.training.messages

It is made of one text of each message that a server sends, and of variants, with the values that they
mostly have. A letter stands for the name of a stream or a patient: their own are of one server alone. Before
them come beginnings of heart rates, which are matched together with the name of their field. What is sent
most stands last, where it is nearest. What saves less than 0.1 % on simulated traffic is left out. The
dictionary is part of the protocol: from a release on, another one needs another flag.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.levels import roster, stream_id, vitals
from bench.support.report import parser
from streaming.core import dictionary, messages
from streaming.core.deflate import deflate
from streaming.core.ladder import Reason
from streaming.core.messages import GapReason, RosterEntry, SignalState
from streaming.core.network import NetworkCondition
from streaming.core.overload import OverloadState
from streaming.core.priority import MessagePriority
from streaming.core.renditions import LADDER, Quality
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.exceptions import CloseCode

TARGET = Path(dictionary.__file__)
WORTH = 0.001
OF_A_KIND = 40
SERVER_MS = 1.8e12
RATES_HZ = (250.0, 360.0, 500.0)


def main(seed: int) -> int:
    """Choose, and write the module `dictionary`."""
    traffic = simulated(np.random.default_rng(seed))
    texts = candidates()
    paid = cost(texts, traffic)
    print(f"{len(texts)} texts, {len(joined(texts))} bytes: {100 * paid:.2f} % of deflate alone")
    for text in candidates():
        fewer = [other for other in texts if other != text]
        without = cost(fewer, traffic)
        if without < (1 + WORTH) * paid:
            texts, paid = fewer, without
    print(f"{len(texts)} texts, {len(joined(texts))} bytes: {100 * paid:.2f} %")
    for kind, each in traffic.items():
        print(
            f"  {kind:<10}{len(joined(each)) / len(each):8.0f} bytes, {100 * cost(texts, {kind: each}):.1f} %"
        )
    TARGET.write_text(module(joined(texts).decode()))
    print(f"written: {TARGET}")
    return 0


def candidates() -> list[str]:
    """Texts from the rarest to the most frequent."""
    leads = tuple(Lead(name, 5.0) for name in ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V5"))
    return [
        *("".join(f',"hr":{rate}.' for rate in range(ten, ten + 10)) for ten in range(40, 130, 10)),
        messages.bye(CloseCode.GOING_AWAY, "server is going away", retry_after_ms=1000),
        messages.welcome(connection="c", server_ms=SERVER_MS),
        messages.denied("s"),
        *(
            messages.roster([RosterEntry("s", "P-", "", "ward-1", "Ward 1", "1", source, online=online)])
            for source in (Source.SIM, Source.REPLAY, Source.LIVE)
            for online in (False, True)
        ),
        *(
            messages.stream(
                StreamInfo("s", 1, "P-", "ward", Source.LIVE, 500.0, leads),
                1,
                rendition=rendition.quality,
                leads=leads[1:2] if rendition.quality is Quality.OVERVIEW else leads,
                factor=5 if rendition.quality is Quality.OVERVIEW else 1,
                frame_ms=round(1000 * rendition.frame_s),
            )
            for rendition in reversed(LADDER[1:])
        ),
        *(
            messages.stream(StreamInfo("s", 1, "P-", "ward", source, rate_hz, leads), 1)
            for source, rate_hz in zip((Source.SIM, Source.REPLAY, Source.LIVE), RATES_HZ, strict=True)
        ),
        *(
            messages.gap("s", epoch=1, first=1, stop=2, reason=reason, recoverable=reason is GapReason.SOURCE)
            for reason in GapReason
        ),
        messages.time(SERVER_MS, t0=1.0),
        messages.time(SERVER_MS),
        *(stats(NetworkCondition.GOOD, 1, reason=reason) for reason in reversed(Reason)),
        *(stats(condition, queued) for condition in reversed(NetworkCondition) for queued in (None, 1)),
        quality("s", SignalState.SILENT),
        quality("s", SignalState.LIVE, leads_off=["II"]),
        messages.vitals("s", epoch=1, sample=1, hr=None, hr_source=None),
        *(messages.vitals("s", epoch=1, sample=1, hr=60.0, hr_source=lead) for lead in ("V1", "I", "II")),
        *(quality("s", SignalState.LIVE, rate_hz=rate_hz) for rate_hz in reversed(RATES_HZ)),
    ]


def simulated(draw: np.random.Generator) -> dict[str, list[str]]:
    """Messages of each kind, with values as a server has them."""

    def place() -> tuple[int, int]:
        return int(draw.integers(1, 400)), int(draw.integers(10**8))

    def server_ms() -> float:
        return SERVER_MS + 1e10 * float(draw.random())

    def one_vitals() -> str:
        epoch, sample = place()
        rate, lead = round(float(draw.normal(75, 15)), 1), str(draw.choice(["II", "II", "V1"]))
        return messages.vitals(stream_id(draw), epoch=epoch, sample=sample, hr=rate, hr_source=lead)

    def one_quality() -> str:
        epoch, sample = place()
        off = ["V1"] if draw.random() < 0.1 else []
        rate_hz = round(float(draw.choice(RATES_HZ) + draw.normal(0, 0.05)), 2)
        return quality(
            stream_id(draw), SignalState.LIVE, rate_hz=rate_hz, leads_off=off, place=(epoch, sample)
        )

    def one_gap() -> str:
        epoch, first = place()
        return messages.gap(
            stream_id(draw),
            epoch=epoch,
            first=first,
            stop=first + int(draw.integers(20, 2000)),
            reason=list(GapReason)[draw.integers(len(GapReason))],
            recoverable=False,
        )

    def one_stream() -> str:
        leads = tuple(Lead(name, 5.0, int(draw.integers(0, 1025))) for name in ("II", "V1"))
        rate_hz = float(draw.choice(RATES_HZ))
        info = StreamInfo(stream_id(draw), place()[0], "P-0042", "icu", Source.LIVE, rate_hz, leads)
        rendition = LADDER[draw.integers(len(LADDER)) if draw.random() < 0.5 else 0]
        return messages.stream(
            info,
            int(draw.integers(3000)),
            rendition=rendition.quality,
            leads=leads[:1] if rendition.quality is Quality.OVERVIEW else leads,
            factor=int(draw.integers(1, 6)) if rendition.quality is Quality.OVERVIEW else 1,
            frame_ms=round(1000 * rendition.frame_s),
        )

    def one_stats() -> str:
        condition = list(NetworkCondition)[draw.integers(len(NetworkCondition))]
        reason = list(Reason)[draw.integers(len(Reason))] if draw.random() < 0.5 else Reason.STEADY
        return stats(condition, None if draw.random() < 0.5 else int(draw.integers(9)), draw, reason=reason)

    kinds: dict[str, Callable[[], str]] = {
        "welcome": lambda: messages.welcome(connection=stream_id(draw), server_ms=server_ms()),
        "roster": lambda: roster(draw),
        "ward": lambda: vitals(draw),
        "vitals": one_vitals,
        "quality": one_quality,
        "gap": one_gap,
        "stream": one_stream,
        "stats": one_stats,
        "time": lambda: messages.time(server_ms()),
    }
    return {kind: [make() for _ in range(OF_A_KIND)] for kind, make in kinds.items()}


def stats(
    condition: NetworkCondition,
    queued: int | None,
    draw: np.random.Generator | None = None,
    *,
    reason: Reason = Reason.STEADY,
) -> str:
    """A connection's figures: drawn, or those of a new one."""
    return messages.stats(
        rtt_ms=None if draw is None else float(draw.gamma(2, 20)),
        goodput_bps=None if draw is None else float(10 ** draw.uniform(4, 7)),
        window_bytes=4096 if draw is None else int(draw.integers(4096, 262144)),
        in_flight_bytes=0 if draw is None else int(draw.integers(30_000)),
        queued={} if queued is None else {MessagePriority.HIGH: queued},
        dropped=0,
        expired=0,
        drops={},
        condition=condition,
        rendition=Quality.LOSSLESS
        if draw is None or draw.random() < 0.5
        else list(Quality)[draw.integers(5)],
        reason=reason,
        overload=OverloadState.NORMAL,
    )


def quality(
    stream: str,
    state: SignalState,
    *,
    rate_hz: float | None = None,
    leads_off: Sequence[str] = (),
    place: tuple[int, int] = (1, 1),
) -> str:
    """State of one signal."""
    epoch, sample = place
    return messages.quality(
        stream, epoch=epoch, sample=sample, state=state, leads_off=leads_off, rate_hz=rate_hz
    )


def cost(texts: Sequence[str], traffic: dict[str, list[str]]) -> float:
    """Bytes of the traffic behind these texts, as a share of deflate alone; the mean over its kinds."""
    begun = joined(texts)
    shares = [
        sum(size(text, begun) for text in each) / sum(size(text, b"") for text in each)
        for each in traffic.values()
    ]
    return float(np.mean(shares))


def size(text: str, begun: bytes) -> int:
    """Bytes of one message."""
    return len(deflate(text.encode(), level=9, window_bits=15, mem_level=9, dictionary=begun))


def joined(texts: Sequence[str]) -> bytes:
    """As messages stand in a bundle of texts."""
    return ",".join(texts).encode()


def module(text: str) -> str:
    """The source of the module."""
    lines = textwrap.wrap(text, 100, break_on_hyphens=False, drop_whitespace=False)
    assert "".join(lines) == text
    body = "\n".join(lines)
    return _MODULE.format(body=body)


_MODULE = '''"""What JSON frames are deflated behind by flag: made by bench/training/messages.py."""

from __future__ import annotations

_TEXT = """
{body}
"""

DICTIONARY = _TEXT.replace("\\n", "").encode()
"""Version 1, of `FrameFlag.DICTIONARY`."""
'''


if __name__ == "__main__":
    choices = parser("Assemble the dictionary of JSON frames from the protocol's messages.")
    choices.add_argument("--seed", type=int, default=1, help="of the simulated traffic (default: 1)")
    sys.exit(main(choices.parse_args().seed))
