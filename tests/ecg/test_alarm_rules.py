"""The rules, on views of leads made by hand: what each needs, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streaming.ecg.alarm_limits import AlarmLimits
from streaming.ecg.alarm_rules import FIBRILLATION_ODDS, AlarmRules
from streaming.ecg.alarms import AlarmKind, Condition
from streaming.ecg.lead_watch import LeadView, SeenBeat
from streaming.ecg.quality import LeadState
from streaming.ecg.vitals import Counted

RATE_HZ = 100
NOW = 6000
RULES = AlarmRules(RATE_HZ, ("II", "V1"))
QUIET = LeadView(
    lead=0,
    now=NOW,
    state=LeadState.GOOD,
    clean_since=0,
    good_until=NOW,
    active_at=NOW - 10,
    beats=(),
    waves=(),
    is_flat=False,
    fibrillation=-6.0,
    run=-6.0,
)


def beats(count: int, rr_s: float, *, own: bool = True, alike: float = 0.98) -> tuple[SeenBeat, ...]:
    """Regular beats, the last half a second ago."""
    last, rr = NOW - RATE_HZ // 2, rr_s * RATE_HZ
    return tuple(SeenBeat(round(last - rr * k), own, alike) for k in reversed(range(count)))


def other(view: LeadView, **changes: object) -> LeadView:
    """The same on the second lead, with changes."""
    return replace(view, lead=1, **changes)  # type: ignore[arg-type]  # a test's keyword soup


def found(
    *views: LeadView, on: frozenset[AlarmKind] = frozenset(), counted: Counted | None = None
) -> list[Condition]:
    return RULES.conditions(views, counted, AlarmLimits(), on)


def kinds(*views: LeadView) -> list[AlarmKind]:
    return [condition.kind for condition in found(*views)]


RUN = replace(QUIET, beats=beats(6, 0.4, own=False), run=1.0)


def test_a_quiet_view_calls_for_nothing() -> None:
    assert kinds(QUIET) == kinds(QUIET, other(QUIET)) == []


def test_a_run_of_foreign_beats_is_ventricular_tachycardia() -> None:
    seen = found(RUN, other(RUN))
    assert [condition.kind for condition in seen] == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    evidence = seen[0].evidence
    assert evidence.value == pytest.approx(150.0)
    assert (evidence.first, evidence.stop) == (RUN.beats[1].sample, RUN.beats[5].sample + 1)
    assert evidence.lead == "II"


@pytest.mark.parametrize(
    "changes",
    [
        {"beats": beats(4, 0.4, own=False)},
        {"beats": beats(6, 0.61, own=False)},
        {"run": -2.1},
        {"run": -0.1, "beats": beats(6, 0.4, own=False, alike=0.6)},
        {"beats": (*beats(6, 0.4, own=False)[:-1], SeenBeat(NOW - 50, True, 0.9))},
        {"beats": tuple(replace(beat, sample=beat.sample - 200) for beat in RUN.beats)},
    ],
)
def test_what_a_run_needs(changes: dict[str, object]) -> None:
    assert kinds(replace(RUN, **changes)) == []  # type: ignore[arg-type]  # a test's keyword soup


NARROW = tuple(replace(beat, sample=beat.sample - 330) for beat in beats(8, 0.8))
QUICK = tuple(replace(beat, sample=beat.sample - 330) for beat in beats(8, 0.58))
SLOW_RUN = replace(QUIET, beats=NARROW + beats(6, 0.5, own=False), run=-3.5)


def test_a_slow_steady_run_that_follows_a_narrow_rhythm_at_once_is_one() -> None:
    assert kinds(SLOW_RUN, other(SLOW_RUN, run=-6.0)) == [AlarmKind.VENTRICULAR_TACHYCARDIA]


@pytest.mark.parametrize(
    "changes",
    [
        {"run": -4.1},
        {"beats": NARROW[1:] + beats(6, 0.5, own=False)},
        {"beats": NARROW + beats(6, 0.5, own=False, alike=0.89)},
        {
            "beats": NARROW
            + tuple(
                replace(b, sample=b.sample + 25 * (n == 3)) for n, b in enumerate(beats(6, 0.5, own=False))
            )
        },
        {"beats": NARROW + beats(6, 0.61, own=False)},
        {"beats": QUICK + beats(6, 0.5, own=False)},
    ],
    ids=["unlike", "unknown before", "various", "unsteady", "slow", "by and by"],
)
def test_what_a_slow_run_needs(changes: dict[str, object]) -> None:
    view = replace(SLOW_RUN, **changes)  # type: ignore[arg-type]  # as above
    assert AlarmKind.VENTRICULAR_TACHYCARDIA not in kinds(view)


def test_a_slow_run_goes_on_when_what_was_before_it_is_forgotten() -> None:
    view = replace(SLOW_RUN, beats=beats(6, 0.5, own=False))
    assert kinds(view) == []
    on = frozenset({AlarmKind.VENTRICULAR_TACHYCARDIA})
    assert [condition.kind for condition in found(view, on=on)] == [AlarmKind.VENTRICULAR_TACHYCARDIA]


def test_the_patients_own_beats_on_another_lead_speak_against_a_run() -> None:
    assert kinds(RUN, other(RUN, beats=beats(5, 0.8))) == []
    assert kinds(RUN, other(RUN, beats=beats(1, 0.8))) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    assert kinds(RUN, other(QUIET)) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    assert kinds(RUN, other(QUIET, beats=beats(1, 0.8))) == []
    assert kinds(RUN, other(RUN, run=None)) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    off = other(RUN, beats=beats(5, 0.8), state=LeadState.RAIL)
    assert kinds(RUN, off) == [AlarmKind.VENTRICULAR_TACHYCARDIA]


def test_beats_that_are_unlike_are_a_run_if_every_lead_looks_like_one() -> None:
    unlike = replace(RUN, beats=beats(6, 0.4, own=False, alike=0.6))
    assert kinds(unlike, other(unlike, run=0.1)) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    assert kinds(unlike, other(unlike, run=-0.1)) == []


def test_tall_waves_that_are_alike_will_do_where_beats_are_overlooked() -> None:
    overlooked = replace(QUIET, beats=RUN.beats[::3], waves=RUN.beats, run=-1.0)
    assert kinds(overlooked) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    ragged = tuple(replace(wave, likeness=0.8) for wave in RUN.beats)
    assert kinds(replace(overlooked, waves=ragged, run=2.0)) == []
    assert kinds(overlooked, other(QUIET, run=-1.0, beats=beats(4, 0.8))) == []


FIBRILLATING = replace(QUIET, fibrillation=FIBRILLATION_ODDS + 0.1, run=2.0, active_at=NOW - 600)


def test_fibrillation_needs_all_leads_that_are_not_flat() -> None:
    assert kinds(FIBRILLATING, other(FIBRILLATING)) == [AlarmKind.FIBRILLATION]
    assert kinds(FIBRILLATING, other(FIBRILLATING, fibrillation=None)) == [AlarmKind.FIBRILLATION]
    assert AlarmKind.FIBRILLATION not in kinds(FIBRILLATING, other(FIBRILLATING, fibrillation=0.9))
    assert AlarmKind.FIBRILLATION not in kinds(FIBRILLATING, other(FIBRILLATING, beats=beats(1, 1.0)))


def test_a_regular_run_is_called_by_its_name_unless_it_is_too_fast() -> None:
    both = replace(FIBRILLATING, active_at=NOW - 10)
    assert kinds(replace(both, beats=RUN.beats)) == [AlarmKind.VENTRICULAR_TACHYCARDIA]
    fast = replace(both, beats=beats(12, 0.25, own=False))
    assert kinds(fast)[:2] == [AlarmKind.FIBRILLATION, AlarmKind.VENTRICULAR_TACHYCARDIA]
    ragged = replace(both, beats=beats(6, 0.4, own=False, alike=0.5))
    assert kinds(ragged) == [AlarmKind.FIBRILLATION, AlarmKind.VENTRICULAR_TACHYCARDIA]


def test_standstill_needs_silence_on_every_usable_lead() -> None:
    silent = replace(QUIET, active_at=NOW - 400)
    assert kinds(silent, other(silent)) == [AlarmKind.ASYSTOLE]
    assert kinds(silent, other(silent, active_at=NOW - 399)) == []
    assert kinds(silent, other(QUIET, state=LeadState.RAIL)) == [AlarmKind.ASYSTOLE]
    assert kinds(replace(silent, fibrillation=2.0)) == [AlarmKind.FIBRILLATION]


def test_bradycardia_is_counted_on_all_leads_together() -> None:
    slow = replace(QUIET, beats=beats(6, 1.6))
    assert kinds(slow) == [AlarmKind.EXTREME_BRADYCARDIA]
    assert found(slow)[0].evidence.value == pytest.approx(37.5)
    between = tuple(replace(beat, sample=beat.sample - 80) for beat in slow.beats)
    assert kinds(slow, other(slow, beats=between)) == []
    assert kinds(slow, other(slow, beats=tuple(replace(b, sample=b.sample + 10) for b in slow.beats))) == [
        AlarmKind.EXTREME_BRADYCARDIA
    ]
    assert kinds(replace(QUIET, beats=beats(4, 1.6))) == []
    noise = other(slow, beats=tuple(replace(beat, likeness=0.3) for beat in between))
    assert kinds(slow, noise) == [AlarmKind.EXTREME_BRADYCARDIA]


def test_a_beat_of_search_back_that_no_other_lead_has_does_not_end_a_bradycardia() -> None:
    slow = replace(QUIET, beats=beats(6, 1.6))
    wave = SeenBeat(slow.beats[-2].sample + 47, False, 0.6, confidence=0.35)
    with_wave = replace(slow, beats=(*slow.beats[:-1], wave, slow.beats[-1]))
    assert kinds(with_wave, other(slow)) == [AlarmKind.EXTREME_BRADYCARDIA]
    assert kinds(with_wave, other(with_wave)) == kinds(with_wave) == []
    sure = tuple(replace(beat, confidence=0.9) for beat in with_wave.beats)
    assert kinds(replace(with_wave, beats=sure), other(slow)) == []


def test_a_pause_of_asystole_is_no_part_of_a_bradycardia() -> None:
    last = [beat.sample for beat in beats(4, 0.9)]
    with_pause = tuple(SeenBeat(sample, True, 0.98) for sample in (last[0] - 500, *last))
    assert kinds(replace(QUIET, beats=with_pause)) == []


FAST = replace(QUIET, beats=beats(14, 0.4))


def test_tachycardia_is_counted_on_the_steadiest_lead() -> None:
    assert kinds(FAST) == [AlarmKind.EXTREME_TACHYCARDIA]
    assert found(FAST)[0].evidence.value == pytest.approx(150.0)
    unsteady = tuple(replace(b, sample=b.sample + 9 * (-1) ** k) for k, b in enumerate(beats(14, 0.7)))
    assert kinds(other(FAST, beats=unsteady), FAST) == [AlarmKind.EXTREME_TACHYCARDIA]
    assert kinds(other(FAST, beats=beats(14, 0.7)), replace(FAST, beats=unsteady)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"beats": beats(12, 0.4)},
        {"beats": beats(14, 0.43)},
        {"beats": beats(14, 0.4, alike=0.6)},
        {"state": LeadState.OFF},
    ],
)
def test_what_a_tachycardia_needs(changes: dict[str, object]) -> None:
    fast = [kind for kind in kinds(replace(FAST, **changes)) if kind is not AlarmKind.LEAD_OFF]  # type: ignore[arg-type]  # a test's keyword soup
    assert fast == []


def test_a_hole_in_one_interval_does_not_slow_a_tachycardia() -> None:
    holed = list(FAST.beats[:5] + FAST.beats[6:])
    assert kinds(replace(FAST, beats=(FAST.beats[0], *holed))) == []
    holed[5] = replace(holed[5], apart=True)
    first = replace(FAST.beats[0], sample=FAST.beats[0].sample - 40)
    seen = found(replace(FAST, beats=(first, *holed)))
    assert [condition.kind for condition in seen] == [AlarmKind.EXTREME_TACHYCARDIA]
    assert seen[0].evidence.value == pytest.approx(150.0)


def test_a_hole_that_may_hide_a_beat_makes_no_bradycardia() -> None:
    usual = beats(6, 1.4)
    holed = list(usual[:3] + usual[4:])
    assert kinds(replace(QUIET, beats=tuple(holed))) == [AlarmKind.EXTREME_BRADYCARDIA]
    holed[3] = replace(holed[3], apart=True)
    assert kinds(replace(QUIET, beats=tuple(holed))) == []
    slow = tuple(replace(beat, apart=True) for beat in beats(6, 2.0))
    assert kinds(replace(QUIET, beats=slow)) == [AlarmKind.EXTREME_BRADYCARDIA]


def test_what_touches_a_hole_may_be_a_beat_and_ends_a_bradycardia() -> None:
    slow = beats(6, 1.6)
    maybe = tuple(SeenBeat(beat.sample - 80, False, 0.0, apart=True) for beat in slow)
    assert kinds(replace(QUIET, beats=slow)) == [AlarmKind.EXTREME_BRADYCARDIA]
    assert kinds(replace(QUIET, beats=slow, doubtful=maybe)) == []


def test_the_clock_of_a_standstill_stands_in_a_hole() -> None:
    silent = replace(QUIET, active_at=NOW - 420)
    assert kinds(replace(silent, missing=20)) == [AlarmKind.ASYSTOLE]
    assert found(replace(silent, missing=20))[0].evidence.value == pytest.approx(4.0)
    assert kinds(replace(silent, missing=21)) == []


def test_tachycardia_is_counted_on_a_disturbed_lead_too() -> None:
    assert kinds(replace(FAST, state=LeadState.RAIL)) == [AlarmKind.EXTREME_TACHYCARDIA]


@pytest.mark.parametrize(
    ("rate", "on", "expected"),
    [
        (120, False, None),
        (121, False, False),
        (118, True, True),
        (117, True, None),
        (50, False, None),
        (49, False, False),
        (52, True, True),
        (53, True, None),
    ],
)
def test_a_limit_has_hysteresis(rate: int, on: bool, expected: bool | None) -> None:
    """`expected`: whether the condition is only held; None where there is none."""
    kind = AlarmKind.HR_HIGH if rate > 80 else AlarmKind.HR_LOW
    counted = Counted(rate, "V1", 100, 900)
    seen = found(QUIET, on=frozenset({kind}) if on else frozenset(), counted=counted)
    assert [condition.is_held for condition in seen] == ([] if expected is None else [expected])
    assert all(condition.kind is kind for condition in seen)


@pytest.mark.parametrize(
    ("rr_s", "on", "expected"),
    [
        (0.43, False, None),
        (0.42, False, False),
        (0.43, True, True),
        (0.44, True, None),
        (1.5, False, None),
        (1.51, False, False),
        (1.4, True, True),
        (1.39, True, None),
    ],
)
def test_a_lethal_limit_has_hysteresis(rr_s: float, on: bool, expected: bool | None) -> None:
    """`expected`: whether the condition is only held; None where there is none."""
    kind = AlarmKind.EXTREME_TACHYCARDIA if rr_s < 1 else AlarmKind.EXTREME_BRADYCARDIA
    view = replace(QUIET, beats=beats(14, rr_s))
    seen = found(view, on=frozenset({kind}) if on else frozenset())
    assert [condition.is_held for condition in seen] == ([] if expected is None else [expected])
    assert all(condition.kind is kind for condition in seen)


def test_no_lead_for_four_seconds_is_no_signal() -> None:
    gone = replace(QUIET, state=LeadState.RAIL, good_until=NOW - 400, active_at=NOW - 900)
    assert kinds(gone, other(gone)) == [AlarmKind.NO_SIGNAL]
    assert kinds(gone, other(gone, good_until=NOW - 399)) == []
    off = replace(gone, state=LeadState.OFF)
    assert kinds(off, other(QUIET)) == [AlarmKind.LEAD_OFF]
    assert found(off, other(QUIET))[0].evidence.first == NOW - 400
