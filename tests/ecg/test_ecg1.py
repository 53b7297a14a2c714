"""What `ecg1` encodes comes back as it was, and what is malformed is refused at no cost."""

from __future__ import annotations

import contextlib
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.ecg.codec import CodecId, Samples, WaveformEncoder, read_header
from streaming.ecg.codec import decode as decode_any
from streaming.ecg.ecg1 import automaton, codes, encode
from streaming.ecg.ecg1.decode import decode
from streaming.ecg.ecg1.decode import read_header as read_ecg1_header
from streaming.ecg.ecg1.encode import Encoder
from streaming.ecg.grid import Grid
from streaming.exceptions import ProtocolError

RNG_SEEDS = st.integers(0, 2**32 - 1)


def walk(leads: int, n: int, noise: float, seed: int = 1, dtype: Any = np.int16) -> Samples:
    """A random walk: small residuals, with a quiet stretch in the middle."""
    steps = np.random.default_rng(seed).normal(0, noise, (leads, n))
    steps[:, n // 3 : n // 2] = 0
    limits = np.iinfo(dtype)
    samples: Samples = np.clip(np.cumsum(steps, axis=1), limits.min, limits.max).astype(dtype)
    return samples


def beats(leads: int, n: int, seed: int = 1) -> Samples:
    """Something like an ECG: narrow waves on a wandering line, noise, one shape in all leads."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    wave = 200 * np.sin(t / 70.0) + 900 * np.exp(-(((t % 180) - 60) ** 2) / 18.0)
    samples: Samples = np.rint(
        np.outer(rng.uniform(0.3, 1.2, leads), wave) + rng.normal(0, 4, (leads, n))
    ).astype(np.int16)
    return samples


def twelve(n: int, seed: int = 1, *, off_by: int = 1) -> Samples:
    """Twelve standard leads; the limb leads are off by rounding."""
    eight = beats(8, n, seed).astype(np.int64)
    limbs = encode.limb_leads(eight[None, 0], eight[None, 1])[0]
    limbs += np.random.default_rng(seed).integers(-off_by, off_by + 1, limbs.shape)
    samples: Samples = np.concatenate([eight[:2], limbs, eight[2:]]).astype(np.int16)
    return samples


def one(samples: Samples, *, half: bool | None = None, grid: Grid | None = None) -> bytes:
    (payload,) = encode.encode(samples[None], grid=grid, half=None if half is None else np.array([half]))
    return payload


def same(decoded: Samples, samples: Samples) -> bool:
    return decoded.dtype == samples.dtype and np.array_equal(decoded, samples)


class TestLossless:
    @settings(max_examples=150, deadline=None)
    @given(
        leads=st.integers(1, 16),
        n=st.integers(1, 260),
        noise=st.sampled_from([0.0, 0.3, 2.0, 40.0, 900.0, 30_000.0]),
        seed=RNG_SEEDS,
        wide=st.booleans(),
        half=st.sampled_from([None, True, False]),
    )
    def test_any_samples_come_back(
        self, leads: int, n: int, noise: float, seed: int, wide: bool, half: bool | None
    ) -> None:
        samples = walk(leads, n, noise, seed, np.int32 if wide else np.int16)
        if half and n < encode.MIN_HALF_SAMPLES:
            half = None
        payload = one(samples, half=half)
        assert same(decode(payload), samples)
        assert read_header(payload).codec is CodecId.ECG1
        assert (read_header(payload).leads, read_header(payload).samples) == (leads, n)

    @settings(max_examples=60, deadline=None)
    @given(leads=st.integers(1, 16), n=st.integers(1, 60), seed=RNG_SEEDS)
    def test_noise_over_the_whole_range_comes_back(self, leads: int, n: int, seed: int) -> None:
        samples = np.random.default_rng(seed).integers(-(2**15), 2**15, (leads, n)).astype(np.int16)
        assert same(decode(one(samples)), samples)

    @pytest.mark.parametrize("half", [True, False])
    @pytest.mark.parametrize("n", [16, 17, 18, 19, 20, 500, 4096])
    def test_every_length_modulo_four(self, n: int, half: bool) -> None:
        samples = beats(3, n)
        assert same(decode(one(samples, half=half)), samples)

    def test_a_stream_of_frames_of_any_kind(self) -> None:
        encoder = Encoder()
        for number in range(80):
            samples = (beats(2, 360, number), walk(2, 36, 1.0, number), walk(2, 90, 3000.0, number))[
                number % 3
            ]
            assert same(decode(encoder.encode(samples)), samples)

    def test_many_messages_in_one_call_are_what_each_is_alone(self) -> None:
        messages = np.array([beats(3, 360, seed) for seed in range(6)] + [walk(3, 360, 0.4)] * 2, np.int16)
        together = encode.encode(messages)
        assert together == [one(samples) for samples in messages]
        assert len({payload[0] & encode.HALF for payload in together}) == 2, "both rates are there"

    def test_messages_of_different_kinds_in_one_call(self) -> None:
        messages = np.array([twelve(250), beats(12, 250)], np.int16)
        half = np.array([True, False])
        payloads = encode.encode(messages, half=half)
        assert [bool(p[0] & encode.TWELVE) for p in payloads] == [True, False]
        assert all(same(decode(p), samples) for p, samples in zip(payloads, messages, strict=True))


class TestWhatIsFound:
    def test_limb_leads_cost_next_to_nothing(self) -> None:
        exact, unrelated = twelve(500, off_by=0), beats(12, 500)
        assert read_ecg1_header(one(exact)).twelve
        assert same(decode(one(exact)), exact)
        assert not read_ecg1_header(one(unrelated)).twelve
        eight = exact[[0, 1, 6, 7, 8, 9, 10, 11]]
        assert len(one(exact)) < len(one(eight)) + 4 * 16

    @pytest.mark.parametrize("truncates", [True, False])
    @pytest.mark.parametrize("step", [4880, 2500, 3125, 9766])
    def test_the_grid_of_the_converter(self, step: int, truncates: bool) -> None:
        grid = Grid(step, truncates)
        counts = beats(2, 500).astype(np.int64)
        samples = grid.values(counts).astype(np.int32)
        payload = Encoder().encode(samples)
        assert read_ecg1_header(payload).grid == grid
        assert same(decode(payload), samples)
        assert len(payload) <= len(one(counts.astype(np.int16))) + 8

    def test_augmented_leads_on_half_steps(self) -> None:
        grid = Grid(4880, truncates=True)
        eight = beats(8, 500).astype(np.int64)
        limbs = encode.limb_leads(eight[None, 0], eight[None, 1], grid)[0]
        chest = grid.values(eight)
        samples = np.concatenate([chest[:2], limbs, chest[2:]]).astype(np.int16)
        header = read_ecg1_header(payload := Encoder().encode(samples))
        assert header.limbs_in_values
        assert same(decode(payload), samples)
        assert len(payload) < 1.1 * len(one(eight.astype(np.int16)))

    def test_a_stream_that_leaves_its_grid_goes_on(self) -> None:
        encoder = Encoder()
        on_grid = Grid(4880, truncates=False).values(beats(2, 500).astype(np.int64)).astype(np.int16)
        off_grid = on_grid.copy()
        off_grid[0, 7] += 1
        for samples, expected in ((on_grid, True), (off_grid, False), (on_grid, True)):
            payload = encoder.encode(samples)
            assert (read_ecg1_header(payload).grid is not None) == expected
            assert same(decode(payload), samples)

    def test_what_neighbouring_leads_have_in_common(self) -> None:
        rng = np.random.default_rng(3)
        common = rng.normal(0, 60, 500)
        samples = np.rint(np.outer(np.linspace(0.5, 1.0, 8), common) + rng.normal(0, 2, (8, 500))).astype(
            np.int16
        )
        payload = one(samples)
        assert read_ecg1_header(payload).gains
        assert same(decode(payload), samples)
        alone = sum(len(one(lead[None])) for lead in samples)
        assert len(payload) < 0.7 * alone

    def test_a_flat_line_is_a_few_bytes(self) -> None:
        assert len(one(np.full((1, 500), 37, np.int16))) <= 8
        assert len(one(np.zeros((12, 500), np.int16))) <= 40

    def test_what_it_does_not_hold_goes_as_planes(self) -> None:
        encoder = WaveformEncoder()
        for samples in (
            np.array([[0, 2**30, -(2**30), 5]], np.int32),
            np.array([[2**31 - 1] * 3], np.int32),
            np.zeros((1, 5000), np.int16),
        ):
            payload = encoder.encode(samples)
            assert read_header(payload).codec is not CodecId.ECG1
            assert same(decode_any(payload), samples)
        assert read_header(encoder.encode(beats(2, 100))).codec is CodecId.ECG1

    @pytest.mark.parametrize(
        "samples",
        [np.zeros((1, 5)), np.zeros(5, np.int16), np.zeros((17, 5), np.int16), np.zeros((1, 0), np.int16)],
    )
    def test_what_is_no_frame_is_refused(self, samples: npt.NDArray[Any]) -> None:
        with pytest.raises(ValueError, match="samples"):
            WaveformEncoder().encode(samples)


def flags(first: int, extras: bytes = b"", shape: bytes = b"\x00\x1f") -> bytes:
    """A payload of one lead of 32 samples with this header, and some bits."""
    return bytes([first]) + shape + extras + bytes(40)


class TestMalformed:
    @pytest.mark.parametrize(
        ("payload", "why"),
        [
            (b"", "not ecg1"),
            (b"\x10\x00\x00", "not ecg1"),
            (b"\x20\x00\x00\x00", "not ecg1"),
            (flags(0x12), "header"),
            (flags(0x11, shape=b"\x00\x0e"), "header"),
            (flags(0x18, b"\x00"), "header"),
            (flags(0x18, b"\x10"), "header"),
            (flags(0x18, b"\x05"), "header"),
            (flags(0x18, b"\x0a\x13\x10"), "header"),
            (flags(0x18, b"\x02\x03\xe8"), "step"),
            (b"\x18\x00\x1f\x02\x13\x10", "header"),
            (bytes([0x10, 0, 0]) + bytes(60), "longer"),
            (bytes([0x10, 0, 0, 0b00000110, 0b11000000]) + bytes(8), "too many bits"),
        ],
    )
    def test_a_header_that_breaks_a_rule(self, payload: bytes, why: str) -> None:
        with pytest.raises(ProtocolError, match=why):
            decode(payload)

    @pytest.mark.parametrize("samples", [beats(2, 90), walk(3, 60, 0.4), twelve(40), walk(1, 40, 5000.0)])
    def test_every_truncation_is_refused(self, samples: Samples) -> None:
        payload = one(samples)
        for end in range(len(payload)):
            with pytest.raises(ProtocolError):
                decode(payload[:end])

    def test_bits_behind_the_last_one_are_refused(self) -> None:
        payload = one(beats(2, 90))
        with pytest.raises(ProtocolError, match="end"):
            decode(payload + b"\x00")
        spare = next(p for seed in range(50) if not (p := one(beats(1, 33, seed)))[-1] & 1)
        with pytest.raises(ProtocolError, match="end"):
            decode(spare[:-1] + bytes([spare[-1] | 1]))

    def test_a_sample_beyond_its_type_is_refused(self) -> None:
        payload = bytearray(one(np.array([[2**20]], np.int32)))
        payload[0] &= ~encode.WIDE
        with pytest.raises(ProtocolError, match="type"):
            decode(bytes(payload))

    @settings(max_examples=300, deadline=None)
    @given(data=st.data(), seed=st.integers(0, 5))
    def test_a_changed_payload_is_refused_or_is_another(self, data: st.DataObject, seed: int) -> None:
        samples = (
            beats(2, 90, 1),
            walk(3, 60, 0.4),
            twelve(40),
            walk(1, 40, 5000.0),
            beats(7, 50),
            walk(2, 200, 1.0),
        )[seed]
        payload = bytearray(one(samples))
        for _ in range(data.draw(st.integers(1, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        try:
            decoded = decode(bytes(payload))
        except ProtocolError:
            return
        header = read_ecg1_header(bytes(payload))
        assert decoded.shape == (header.leads, header.samples)

    @settings(max_examples=300, deadline=None)
    @given(body=st.binary(max_size=200), first=st.integers(0x10, 0x1F), leads=st.integers(0, 15))
    def test_any_bytes_are_refused_or_decoded(self, body: bytes, first: int, leads: int) -> None:
        with contextlib.suppress(ProtocolError):
            assert decode(bytes([first, leads << 4, 30]) + body).shape == (leads + 1, 31)

    def test_announcing_much_costs_no_more_than_that(self) -> None:
        payload = bytes([0x10, 0xFF, 0xFF]) + bytes(20)
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError):
                decode(payload)
            assert tracemalloc.get_traced_memory()[1] < 4 * 16 * 4096 * 8
        finally:
            tracemalloc.stop()


class TestCodes:
    def test_every_code_is_complete(self) -> None:
        for lengths in (codes.LENGTHS, codes.RUN_LENGTHS):
            assert np.allclose((2.0 ** -lengths.astype(float)).sum(axis=-1), 1.0)
        assert codes.LENGTHS.max() <= codes.LONGEST
        assert codes.RUN_LENGTHS.max() <= codes.WINDOW

    @pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 12, 15, 16, 255, 4095])
    def test_a_run_is_its_symbol_and_its_low_bits(self, length: int) -> None:
        (symbol,), (bits,) = codes.run_symbols(np.array([length]))
        assert symbol < codes.RUN_SYMBOLS
        assert codes.run_extra_bits(int(symbol)) == bits
        assert codes.run_length(int(symbol), length & (1 << bits) - 1) == length

    def test_look_ups_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        automaton.automaton.cache_clear()
        monkeypatch.setattr(automaton, "_lookups_made", 0)
        monkeypatch.setattr(automaton, "MAX_LOOKUPS", 50)
        for seed in range(5):
            samples = beats(2, 360, seed)
            assert same(decode(one(samples)), samples)
        held = sum(len(state) for state in states())
        assert held <= 100


def states() -> list[automaton.State]:
    """All states that are kept."""
    found: dict[int, automaton.State] = {}
    waiting = [
        automaton.automaton(set_, half=half).start for set_ in range(codes.SETS) for half in (False, True)
    ]
    while waiting:
        state = waiting.pop()
        if id(state) not in found:
            found[id(state)] = state
            waiting += state.after
    return list(found.values())
