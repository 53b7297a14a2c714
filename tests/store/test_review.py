"""What the past answers is what was stored: each minute, extreme, sample and alarm, and every hole."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streaming.core.review_messages import Answer, Question, Subject
from streaming.core.streams import Lead, StreamInfo
from streaming.ecg import codec
from streaming.ecg.codec import Samples
from streaming.exceptions import HistoryAwayError
from streaming.models_history import HistoryMinute
from streaming.store import history_limits, minutes, review
from streaming.store.history_limits import Limits
from streaming.store.review_source import ReviewSource
from tests.store import pasts
from tests.store.people import hospital

BEGAN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BEGAN_MS = 1000 * BEGAN.timestamp()
HOLE_S = (100.0, 130.0)
LEADS = (Lead("II", 5.0), Lead("V1", 2.5, 100))
pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def info() -> StreamInfo:
    """A stream of two leads."""
    return pasts.make_epoch(hospital().streams["a"].pk, leads=LEADS)


@pytest.fixture
def samples(info: StreamInfo) -> Samples:
    """Four minutes that are stored of it, but for a hole."""
    made = pasts.simulated(info, 240)
    pasts.store(info, made, BEGAN, holes=[HOLE_S], rates=[60, 70, 80, 90])
    return made


def asked(info: StreamInfo, what: Subject, first_s: float, stop_s: float, **fields: Any) -> Answer:
    span = BEGAN_MS + 1000 * first_s, BEGAN_MS + 1000 * stop_s
    return review.ANSWERS[what](Question(1, "main", info.stream, what, *span, **fields))


def test_a_trend_has_each_minute_and_what_is_known_of_the_patient(info: StreamInfo, samples: Samples) -> None:
    facts = asked(info, Subject.TREND, 0, 600).facts
    assert [row[0] for row in facts["minutes"]] == [0, 60_000, 120_000, 180_000]
    assert [row[1:4] for row in facts["minutes"]] == [[hr - 3, hr, hr + 4] for hr in (60, 70, 80, 90)]
    assert [row[4] for row in facts["minutes"]] == [100] * 4
    assert facts["stored"] == [BEGAN_MS, BEGAN_MS + 240_000]
    assert (facts["leads"], facts["source"], facts["patient"]) == (["II", "V1"], "SIM", info.patient)
    assert facts["limits"] == {"low": 50, "high": 120}


def test_a_trend_of_nothing_says_so(info: StreamInfo) -> None:
    facts = asked(info, Subject.TREND, 0, 600).facts
    assert (facts["minutes"], facts["stored"], facts["leads"]) == ([], None, ["II", "V1"])


def test_a_minute_without_a_rate_has_none(info: StreamInfo) -> None:
    pasts.store(info, pasts.simulated(info, 60), BEGAN)
    HistoryMinute.objects.update(counted=0, hr_total=0, hr_low=32767, hr_high=0)
    assert asked(info, Subject.TREND, 0, 60).facts["minutes"] == [[0, None, None, None, 0]]


@pytest.mark.parametrize(("lead", "row"), [(None, 0), ("V1", 1)])
@pytest.mark.parametrize("columns", [4000, 600, 40])
def test_an_overview_has_the_extremes_of_each_column_and_the_hole(
    lead: str | None, row: int, columns: int, info: StreamInfo, samples: Samples
) -> None:
    answer = asked(info, Subject.OVERVIEW, 0, 240, columns=columns, lead=lead)
    count, step_ms = answer.facts["columns"], answer.facts["step_ms"]
    assert count <= columns
    assert count * step_ms == pytest.approx(240_000)
    low, high = np.frombuffer(answer.data, "<i2").reshape(2, count)
    microvolts = (samples[row].astype(float) - LEADS[row].baseline) * LEADS[row].gain_uv
    times_ms = np.arange(240 * 250) * 4.0
    there = (times_ms < 1000 * HOLE_S[0]) | (times_ms >= 1000 * HOLE_S[1])
    stored_ms = 5000.0 if step_ms > 5200 else 100.0
    for column in range(count):
        begin, end = column * step_ms, (column + 1) * step_ms
        within = microvolts[there & (times_ms >= begin) & (times_ms < end)]
        # A stored column that lies across an edge belongs to both sides.
        about = microvolts[there & (times_ms >= begin - stored_ms) & (times_ms < end + stored_ms)]
        if within.size:
            assert about.min() - 1 <= low[column] <= within.min() + 1
            assert within.max() - 1 <= high[column] <= about.max() + 1
    empty = np.flatnonzero(low > high)
    assert (1 + empty[-1] - empty[0]) * step_ms == pytest.approx(30_000, abs=2 * step_ms)
    assert len(empty) == 1 + empty[-1] - empty[0], "one hole, and nothing else"


def test_an_overview_of_a_lead_that_is_not_there_is_empty(info: StreamInfo, samples: Samples) -> None:
    answer = asked(info, Subject.OVERVIEW, 0, 60, columns=10, lead="aVF")
    low, high = np.frombuffer(answer.data, "<i2").reshape(2, -1)
    assert (low > high).all()


def test_a_wave_is_every_sample_as_it_was(info: StreamInfo, samples: Samples) -> None:
    answer = asked(info, Subject.WAVE, 95, 140)
    at = 0
    spans = []
    for part in answer.facts["parts"]:
        assert part["began_ms"] == pytest.approx(BEGAN_MS + 4 * part["first"])
        for first, count, size in part["frames"]:
            decoded = codec.decode(answer.data[at : at + size])
            np.testing.assert_array_equal(decoded, samples[:, first : first + count])
            at += size
        spans.append((part["first"], first + count))
    assert at == len(answer.data)
    assert spans[0][0] == 95 * 250
    assert spans[-1][1] == 140 * 250
    assert (100 * 250, 130 * 250) in [(a[1], b[0]) for a, b in pairwise(spans)]
    assert answer.facts["cut_ms"] is None


def test_a_wave_that_is_too_large_says_where_it_was_cut(
    info: StreamInfo, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "MAX_WAVE_BYTES", 1)
    answer = asked(info, Subject.WAVE, 95, 140)
    assert len(answer.facts["parts"]) == 1
    assert answer.facts["cut_ms"] == pytest.approx(BEGAN_MS + 130_000)


def test_events_are_the_alarms_of_the_stream_newest_first(info: StreamInfo, samples: Samples) -> None:
    pasts.store_alarms(
        info,
        BEGAN,
        (10, "high", "ASYSTOLE 4.2 s", 9.0),
        (50, "low", "HR HIGH 130", 20.0),
        (500, "low", "X", 1),
    )
    facts = asked(info, Subject.EVENTS, 0, 240).facts
    assert [event["text"] for event in facts["events"]] == ["HR HIGH 130", "ASYSTOLE 4.2 s"]
    first = facts["events"][1]
    assert first["raised_ms"] == pytest.approx(BEGAN_MS + 10_000)
    assert first["cleared_ms"] == pytest.approx(BEGAN_MS + 19_000)
    assert (first["acknowledged_by"], first["sample"]) == ("nurse-02", 2500)
    assert not facts["more"]


def test_parts_of_one_minute_are_joined(info: StreamInfo) -> None:
    piece = pasts.simulated(info, 60)
    pasts.store(info, piece, BEGAN, holes=[(20, 60)])
    HistoryMinute.objects.update(told=20, counted=20, hr_total=20 * 60, hr_low=55, hr_high=61)
    pasts.store(info, piece, BEGAN, holes=[(0, 20), (40, 60)], rates=[90])
    (row,) = asked(info, Subject.TREND, 0, 60).facts["minutes"]
    assert row[1:] == [55, 75, 94, 100]
    answer = asked(info, Subject.OVERVIEW, 0, 60, columns=60)
    low, high = np.frombuffer(answer.data, "<i2").reshape(2, 60)
    assert list(np.flatnonzero(low > high)) == list(range(40, 60))


def test_a_minute_that_is_damaged_is_left_out(info: StreamInfo, samples: Samples) -> None:
    HistoryMinute.objects.filter(first=0).update(fine=b"?")
    found = list(minutes.ranges(info.stream, BEGAN, BEGAN + timedelta(minutes=4), fine=True))
    (ranges,) = found
    began_ms = [round(BEGAN_MS) + 60_000 * minute for minute in (1, 2, 3)]
    assert ranges.began_ms.tolist() == began_ms
    assert ranges.ranges.shape == (3, 2, 2, 600)


def test_minutes_go_with_the_history(info: StreamInfo, samples: Samples) -> None:
    limits = Limits(timedelta(hours=1), 10**9)
    list(history_limits.prune(limits, now=BEGAN + timedelta(hours=1, seconds=70)))
    assert HistoryMinute.objects.count() == 2
    list(history_limits.delete(streams=["other"]))
    assert HistoryMinute.objects.count() == 2
    list(history_limits.delete(streams=[info.stream]))
    assert HistoryMinute.objects.count() == 0


@pytest.mark.django_db(databases="__all__", transaction=True)
async def test_the_source_answers_in_its_thread_and_gives_up_a_database_that_hangs() -> None:
    source = ReviewSource(deadline_s=5.0)
    question = Question(1, "main", "aaaaaaaaaaaa", Subject.TREND, BEGAN_MS, BEGAN_MS + 1000)
    try:
        body = await source.answer(question, noting=None)
        plain = zlib.decompress(body[4:], wbits=-15)
        facts = json.loads(plain[4:])
        assert facts["minutes"] == []
        source._deadline_s = 0.0
        with pytest.raises(HistoryAwayError):
            await source.answer(question, noting=None)
        source._deadline_s = 5.0
        with pytest.raises(HistoryAwayError):  # passed over for a while
            await source.answer(question, noting=None)
    finally:
        source.close()
