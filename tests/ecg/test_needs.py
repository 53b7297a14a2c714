"""What renditions are expected to take, and when that is news."""

from __future__ import annotations

import pytest

from streaming.core.bundle import WaveFrame
from streaming.core.frames import HEADER, FrameKind
from streaming.core.renditions import LADDER, Quality, Rendition, bytes_per_s, frame_bytes
from streaming.core.streams import Lead, Source, StreamInfo
from streaming.ecg.needs import LEARNT_S, Needs

RATE_HZ = 500.0
LOSSLESS_TENTH, _, LOSSLESS_HALF, DIAGNOSTIC, DISPLAY, OVERVIEW, VITALS = range(len(LADDER))


def needs_of(gain_uv: float = 1.0, leads: int = 12) -> Needs:
    every = tuple(Lead(f"L{n}", gain_uv) for n in range(leads))
    return Needs(StreamInfo("a", 1, "P-1", "w", Source.SIM, RATE_HZ, every))


def frame(scale: float, leads: int = 12, head: bytes = b"") -> WaveFrame:
    """A tenth of a second whose payload has `scale` times what is usual."""
    usual = frame_bytes(Rendition(Quality.LOSSLESS, 0.1), leads=leads, rate_hz=RATE_HZ)
    size = round(scale * usual) - HEADER.size
    return WaveFrame(FrameKind.WAVEFORM, 0, 50, head + bytes(size - len(head)))


def after(needs: Needs, seconds: float, scale: float, head: bytes = b"") -> list[bool]:
    return [needs.saw(frame(scale, head=head)) for _ in range(round(10 * seconds))]


def test_before_the_first_frame_it_is_what_is_usual() -> None:
    assert needs_of().bytes_per_s == tuple(bytes_per_s(r, leads=12, rate_hz=RATE_HZ) for r in LADDER)


def test_after_a_second_it_is_what_was_seen_and_then_only_what_is_news() -> None:
    needs = needs_of()
    news = after(needs, 1.0, 2.0)
    assert news == [False] * 9 + [True]
    assert needs.bytes_per_s[LOSSLESS_TENTH] == pytest.approx(2 * needs_of().bytes_per_s[0], rel=0.02)
    told = needs.bytes_per_s
    assert not any(after(needs, 30.0, 2.2))
    assert needs.bytes_per_s is told
    assert any(after(needs, 2 * LEARNT_S, 4.0))


def test_a_quiet_signal_makes_lossless_small_and_coarse_ones_no_larger() -> None:
    needs = needs_of()
    after(needs, 1.0, 0.5)
    usual, now = needs_of().bytes_per_s, needs.bytes_per_s
    assert now[LOSSLESS_HALF] == pytest.approx(usual[LOSSLESS_HALF] / 2, rel=0.02)
    assert now[DIAGNOSTIC] == now[LOSSLESS_HALF]
    assert now[DISPLAY] == usual[DISPLAY]
    assert now[VITALS] == usual[VITALS]


def test_a_noisy_signal_makes_all_of_them_large() -> None:
    needs = needs_of()
    after(needs, 1.0, 1.5)
    usual, now = needs_of().bytes_per_s, needs.bytes_per_s
    for place in (LOSSLESS_HALF, DIAGNOSTIC, DISPLAY, OVERVIEW):
        assert now[place] == pytest.approx(1.5 * usual[place], rel=0.02)


def test_what_is_not_made_coarser_takes_what_lossless_takes() -> None:
    needs = needs_of(gain_uv=5.0).bytes_per_s
    assert needs[DIAGNOSTIC] == needs[LOSSLESS_HALF] > needs[DISPLAY]


def test_a_source_on_a_coarse_grid_gains_nothing_by_steps_of_another() -> None:
    head = bytes([0x18, 0xB0, 49, 0b10]) + (4880).to_bytes(2, "big")
    needs = needs_of()
    after(needs, 1.0, 0.9, head)
    assert needs.bytes_per_s[DIAGNOSTIC] == needs.bytes_per_s[LOSSLESS_HALF]
    fine = needs_of()
    after(fine, 1.0, 0.9)
    assert fine.bytes_per_s[DIAGNOSTIC] < fine.bytes_per_s[LOSSLESS_HALF]
