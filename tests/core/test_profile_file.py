"""Profiles as TOML: what is written is read as it was, and what is wrong is told by its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.precedence import DEFAULT_NAME, faults
from streaming.core.presets import PRESETS
from streaming.core.profile_columns import RENDITIONS, SETTINGS, TYPES, columns_of, fault_of
from streaming.core.profile_file import ProfileFileError, read, write
from streaming.core.profiles import GroupProfile

SHIPPED = columns_of(GroupProfile())
KINDS: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 1_000_000),
    float: st.floats(0, 3600),
    str: st.sampled_from(list(RENDITIONS)),
}
rows_of = st.dictionaries(
    st.sampled_from(["*", "ecg.*", "ecg.ab-c_1", "ward:icu", "control"]),
    st.fixed_dictionaries({}, optional={name: KINDS[TYPES[name]] for name in SETTINGS}).map(
        lambda row: {name: value for name, value in row.items() if fault_of(name, value) is None}
    ),
)


def told(text: str) -> list[str]:
    with pytest.raises(ProfileFileError) as caught:
        read(text)
    return caught.value.faults


@given(rows_of)
def test_what_is_written_is_read_to_the_last_bit(rows: dict[str, dict[str, Any]]) -> None:
    text = write(rows, "test")
    again = read(text).rows
    assert again == rows
    assert all(
        type(again[name][key]) is type(value) for name, row in rows.items() for key, value in row.items()
    )
    assert write(again, "test") == text


def test_default_comes_first_and_settings_in_their_order() -> None:
    text = write({"ecg.*": {"max_retries": 1, "window_bits": 9}, "*": {"emergency_mode": False}}, "VITAL")
    assert text == (
        "# VITAL\n\n[default]\nemergency_mode = false\n\n"
        '[overrides."ecg.*"]\nwindow_bits = 9\nmax_retries = 1\n'
    )


def test_whole_number_will_do_for_a_share() -> None:
    (value,) = read("[default]\nstall_s = 5\n").rows[DEFAULT_NAME].values()
    assert (value, type(value)) == (5.0, float)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "[default]\n\nmem_levl = 3\n",
            ["line 3, [default], mem_levl: there is no such setting; did you mean mem_level?"],
        ),
        ("[default]\nxyzzy = 3\n", ["line 2, [default], xyzzy: there is no such setting"]),
        (
            "[default]\nmem_level = 3.0\n",
            ["line 2, [default], mem_level: this has to be a whole number, not 3.0"],
        ),
        (
            "[default]\nmem_level = true\n",
            ["line 2, [default], mem_level: this has to be a whole number, not True"],
        ),
        (
            "[default]\nemergency_mode = 1\n",
            ["line 2, [default], emergency_mode: this has to be true or false, not 1"],
        ),
        (
            "[default]\nlow_watermark = '0.2'\n",
            ["line 2, [default], low_watermark: this has to be a number, not '0.2'"],
        ),
        (
            '[overrides."ecg.a"]\n# a comment\nage_low = 0.01\n',
            ['line 3, [overrides."ecg.a"], age_low: max_age_s must be from 0.05 to 3600, not 0.01'],
        ),
        (
            "[profile]\n",
            ['line 1, [profile]: there are [default] and [overrides."<name>"], and nothing else'],
        ),
        ("default = 3\n", ["line 1, [default]: this has to be a table of settings"]),
        ("overrides = 3\n", ["line 1, [overrides]: this has to be a table of settings"]),
        ("[[default]]\n", ["line 1, [default]: this has to be a table of settings"]),
        ('[overrides."e*g"]\n', ['line 1, [overrides."e*g"]: no group, ward or pattern can have this name']),
        ('[overrides."*"]\n', ['line 1, [overrides."*"]: no group, ward or pattern can have this name']),
        (
            "overrides = {'ecg.a' = {mem_level = 99}}\n",
            ['line 1, [overrides."ecg.a"], mem_level: mem_level must be an integer from 1 to 9, not 99'],
        ),
        (
            "default.mem_level = 99\n",
            ["line 1, [default], mem_level: mem_level must be an integer from 1 to 9, not 99"],
        ),
        (
            "[default]\nstall_s = nan\n",
            ["line 2, [default], stall_s: stall_s must be from 1 to 3600, not nan"],
        ),
        ('[default]\n"a=b" = 1\n', ["line 1, [default], a=b: there is no such setting"]),
    ],
)
def test_fault_names_line_table_and_setting(text: str, faults: list[str]) -> None:
    assert told(text) == faults


@pytest.mark.parametrize(("text", "line"), [("[default\n", 1), ("[default]\nmem_level = \n", 2)])
def test_text_that_is_no_toml_is_told_by_its_line(text: str, line: int) -> None:
    (fault,) = told(text)
    assert fault.startswith("no TOML: ")
    assert f"line {line}," in fault


def test_all_faults_are_told_at_once() -> None:
    assert len(told("[default]\nmem_level = 99\nwindow_bits = 99\n[other]\n")) == 3


def test_fault_of_values_that_meet_is_told_by_its_place() -> None:
    file = read('[overrides."ecg.a"]\nmem_level = 3\nlow_watermark = 0.9\n')
    (fault,) = faults({DEFAULT_NAME: SHIPPED, **file.rows}, {})
    assert file.tell(fault).startswith(
        'line 3, [overrides."ecg.a"], low_watermark: ecg.a: watermarks must be in order'
    )


def test_fault_of_a_row_that_inherits_from_the_file_is_told_by_the_files_place() -> None:
    file = read("[default]\nhigh_watermark = 0.5\n")
    rows = {DEFAULT_NAME: SHIPPED | dict(file.rows[DEFAULT_NAME]), "ecg.a": {"low_watermark": 0.6}}
    (fault,) = faults(rows, {})
    assert file.tell(fault).startswith(
        "line 2, [default], high_watermark: ecg.a: watermarks must be in order"
    )


def test_fault_that_does_not_concern_the_file_is_told_as_it_is() -> None:
    file = read('[overrides."ecg.b"]\nmem_level = 3\n')
    (fault,) = faults({DEFAULT_NAME: SHIPPED, "ecg.a": {"low_watermark": 0.9}, **file.rows}, {})
    assert file.tell(fault) == str(fault)


def test_missing_value_of_the_default_is_told_at_its_table() -> None:
    file = read("\n[default]\nmem_level = 3\n")
    found = faults(file.rows, {})
    assert file.tell(found[0]) == "line 2, [default]: default, window_bits: The default profile needs a value"


def test_every_preset_is_valid_and_a_file() -> None:
    for preset in PRESETS:
        assert faults({DEFAULT_NAME: SHIPPED | dict(preset.rows[DEFAULT_NAME])}, {}) == []
        assert read(write(preset.rows, preset.title)).rows == preset.rows


def test_production_preset_is_that_of_the_documentation() -> None:
    (production,) = (preset for preset in PRESETS if preset.slug == "production")
    assert production.rows == {
        DEFAULT_NAME: {"max_buffer_size": 20_000, "high_watermark": 0.75, "emergency_mode": True}
    }
