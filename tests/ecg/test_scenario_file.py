"""Scenario files: what they mean, and every mistake answered with the key that has it."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from streaming.ecg.artefacts import Artefact
from streaming.ecg.rhythms import RHYTHMS
from streaming.ecg.scenario import Disturbance, Phase, Scenario
from streaming.ecg.scenario_file import read_scenario
from streaming.exceptions import ScenarioError

EXAMPLE = Path(__file__).parents[2] / "docs/examples/deterioration.toml"
PHASE = '[[phase]]\nrhythm = "sinus"\n'
SINUS = f"{PHASE}for_s = 20\n"
AT_2_S = f"{SINUS}[[artefact]]\nat_s = 2\nfor_s = 1\n"
EMG = f'{AT_2_S}kind = "emg"\n'
TOO_LONG = f"repeat = true\n{EMG}".replace("for_s = 1\n", "for_s = 19\n")


def phase(rhythm: str, hr: float) -> str:
    return f'[[phase]]\nrhythm = "{rhythm}"\nhr = {hr}'


def test_a_file_says_phases_and_artefacts() -> None:
    text = f"""
        seed = 4
        {PHASE}hr = 60
        for_s = 2.5
        [[phase]]
        at_s = 2.5
        rhythm = "vf"
        [[phase]]
        at_s = 10
        rhythm = "extreme_bradycardia"
        [[artefact]]
        at_s = 1
        for_s = 2
        kind = "step"
        lead = "V5"
        level = -0.5
        [[artefact]]
        at_s = 3
        for_s = 4
        kind = "lead_off_rail"
    """
    assert read_scenario(text) == Scenario(
        (Phase(0.0, 2.5, "sinus", 60.0), Phase(2.5, 10.0, "vf"), Phase(10.0, inf, "extreme_bradycardia")),
        (
            Disturbance(1.0, 2.0, Artefact.STEP, "V5", -0.5),
            Disturbance(3.0, 4.0, Artefact.LEAD_OFF_RAIL),
        ),
        seed=4,
    )


def test_the_example_of_the_docs_shows_each_lethal_rhythm_and_can_repeat() -> None:
    scenario = read_scenario(EXAMPLE.read_text(encoding="utf-8"))
    lethal = {"vt_sustained", "vf", "asystole", "extreme_tachycardia", "extreme_bradycardia"}
    assert lethal <= {phase.rhythm for phase in scenario.phases}
    assert scenario.repeat


@pytest.mark.parametrize("rhythm", [name for name in RHYTHMS if name != "lead_off"])
def test_every_rhythm_can_be_scripted(rhythm: str) -> None:
    assert read_scenario(f'[[phase]]\nrhythm = "{rhythm}"').phases == (Phase(0.0, inf, rhythm),)


@pytest.mark.parametrize("kind", Artefact)
def test_every_artefact_can_be_scripted(kind: Artefact) -> None:
    disturbances = read_scenario(f'{AT_2_S}kind = "{kind}"').disturbances
    assert disturbances == (Disturbance(2.0, 1.0, kind),)


@pytest.mark.parametrize("tenths", range(11, 40))
def test_where_a_phase_ends_may_be_written_however_floats_add_up(tenths: int) -> None:
    text = f'{PHASE}for_s = 1.1\n{PHASE}for_s = {tenths / 10}\n[[phase]]\nrhythm = "vf"\n'
    scenario = read_scenario(f"{text}at_s = {(tenths + 11) / 10}")
    assert scenario.phases[1].stop_s == scenario.phases[2].at_s == pytest.approx((tenths + 11) / 10)


@pytest.mark.parametrize(
    ("text", "table", "key", "words"),
    [
        ("seed = 1", "", "phase", "at least one [[phase]] is needed"),
        ("phase = 3", "", "phase", "must be written as [[phase]]"),
        ("phase = [3]", "", "phase", "must be written as [[phase]]"),
        (f"sed = 1\n{PHASE}", "", "sed", "unknown key; known are seed, repeat, phase, artefact"),
        (f"seed = -1\n{PHASE}", "", "seed", "must be a whole number, 0 or more"),
        (f"seed = true\n{PHASE}", "", "seed", "must be a whole number, 0 or more"),
        (f"repeat = 1\n{PHASE}", "", "repeat", "must be true or false"),
        (f"repeat = true\n{PHASE}", "phase 1", "for_s", "is needed in the last phase of a scenario that rep"),
        ("[[phase]]\nfor_s = 3", "phase 1", "rhythm", "is missing"),
        ('[[phase]]\nrhythm = "waltz"', "phase 1", "rhythm", "must be one of sinus, af, pvc, bradycardia"),
        ("[[phase]]\nrhythm = 7", "phase 1", "rhythm", "must be one of sinus, af, pvc, bradycardia"),
        ('[[phase]]\nrhythm = "lead_off"', "phase 1", "rhythm", "is an artefact here: kind lead_off_rail or"),
        (f"{PHASE}hr = 300", "phase 1", "hr", "must be a number from 20 to 250"),
        (f"{PHASE}hr = true", "phase 1", "hr", "must be a number from 20 to 250"),
        (f"{PHASE}hr = nan", "phase 1", "hr", "must be a number from 20 to 250"),
        (phase("vt_sustained", 90), "phase 1", "hr", "must be a number from 120 to 220"),
        (phase("extreme_tachycardia", 140), "phase 1", "hr", "must be a number from 141 to 250"),
        (phase("extreme_bradycardia", 40), "phase 1", "hr", "must be a number from 20 to 39"),
        (phase("vf", 90), "phase 1", "hr", "vf has no heart rate"),
        (f"{PHASE}at_s = 2", "phase 1", "at_s", "must be 0, where the phase before it ends, or left out"),
        (f"{PHASE}for_s = 0.5", "phase 1", "for_s", "must be a number from 1 to 604800"),
        (f"{PHASE}for_s = inf", "phase 1", "for_s", "must be a number from 1 to 604800"),
        (f'{PHASE}for_s = "long"', "phase 1", "for_s", "must be a number from 1 to 604800"),
        (f"{PHASE}tempo = 3", "phase 1", "tempo", "unknown key; known are at_s, for_s, rhythm, hr"),
        (PHASE * 2, "phase 1", "for_s", "is needed where the next phase has no at_s"),
        (f"{PHASE}{PHASE}at_s = 0.5", "phase 2", "at_s", "must be at least 1"),
        (f"{SINUS}{PHASE}at_s = 21", "phase 2", "at_s", "must be 20, where the phase before it ends"),
        (f'{SINUS}[[artefact]]\nfor_s = 2\nkind = "emg"', "artefact 1", "at_s", "is missing"),
        (EMG.replace("at_s = 2", "at_s = 20"), "artefact 1", "at_s", "must be less than 20, where the last"),
        (EMG.replace("for_s = 1\n", ""), "artefact 1", "for_s", "is missing"),
        (EMG.replace("for_s = 1\n", "for_s = 0.01\n"), "artefact 1", "for_s", "must be a number from 0.02"),
        (AT_2_S, "artefact 1", "kind", "is missing"),
        (f'{AT_2_S}kind = "cough"', "artefact 1", "kind", "must be one of wander, mains_50, mains_60, emg"),
        (TOO_LONG, "artefact 1", "for_s", "must be at most 18, up to where the scenario repeats"),
        (f'{EMG}[[artefact]]\nat_s = 1\nkind = "emg"', "artefact 2", "for_s", "is missing"),
        (f'{EMG}lead = "III"', "artefact 1", "lead", "III is computed from I and II: name one of these"),
        (f'{EMG}lead = "V9"', "artefact 1", "lead", "must be one of I, II, V1"),
        (f"{EMG}lead = [1]", "artefact 1", "lead", "must be one of I, II, V1"),
        (f"{EMG}level = -1", "artefact 1", "level", "must be a number from 0.01 to 10"),
        (f"{EMG}level = 0", "artefact 1", "level", "must be a number from 0.01 to 10"),
        (f'{AT_2_S}kind = "step"\nlevel = 0.0', "artefact 1", "level", "must be at least 0.01, up or down"),
        (f'{AT_2_S}kind = "step"\nlevel = -11', "artefact 1", "level", "must be a number from -10 to 10"),
        (f'{AT_2_S}kind = "lead_off_flat"\nlevel = 1', "artefact 1", "level", "lead_off_flat has none"),
        (f"{EMG}loud = 1", "artefact 1", "loud", "unknown key; known are at_s, for_s, kind, lead, level"),
        ("seed = \n", "", "", "Invalid value (at line 1"),
    ],
)  # fmt: skip
def test_mistakes_are_answered_with_their_table_and_key(text: str, table: str, key: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text)
    error = caught.value
    assert (error.table, error.key) == (table, key)
    assert error.what.startswith(words)
    assert str(error) == ": ".join(part for part in (table, key, error.what) if part)
