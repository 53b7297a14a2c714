"""Which row's value holds for a group, and what is wrong with rows alone and where they meet."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.core.precedence import (
    DEFAULT_NAME,
    Kind,
    chain_for,
    chain_of,
    effective,
    faults,
    is_name,
    kind_of,
    resolve,
    wards_of,
)
from streaming.core.profile_columns import SETTINGS, columns_of
from streaming.core.profiles import GroupProfile
from streaming.exceptions import ProfileError

SHIPPED = columns_of(GroupProfile())
NOWHERE: dict[str, str] = {}


def rows(**named: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The shipped default, and rows: `_` stands for a dot, `__` for a colon, `_any` for `.*`."""
    return {DEFAULT_NAME: dict(SHIPPED)} | {spelled(name): values for name, values in named.items()}


def spelled(name: str) -> str:
    return name.replace("__", ":").replace("_any", ".*").replace("_", ".")


def level(named: dict[str, dict[str, Any]], group: str, places: dict[str, str] = NOWHERE) -> int:
    return resolve(named, places, 1).for_group(group).compression.level


class TestNames:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [("*", Kind.DEFAULT), ("ecg.*", Kind.PATTERN), ("ward:icu-2", Kind.WARD), ("ecg.a", Kind.GROUP)],
    )
    def test_name_says_what_it_governs(self, name: str, kind: Kind) -> None:
        assert is_name(name)
        assert kind_of(name) is kind

    @pytest.mark.parametrize(
        "name", ["", "ecg a", "*x", "e*g", "ecg.**", "ward:", "ward:a.b", "ecg.a\n", "x:y"]
    )
    def test_other_names_are_none(self, name: str) -> None:
        assert not is_name(name)

    def test_wards_that_have_a_row(self) -> None:
        assert wards_of(["*", "ward:icu", "ecg.a", "ward:or"]) == {"icu", "or"}


class TestPrecedence:
    ALL = rows(
        ecg_any={"compression_level": 2},
        ward__icu={"compression_level": 3},
        ecg_a={"compression_level": 4},
    )

    @pytest.mark.parametrize(
        ("group", "expected"),
        [("ecg.a", 4), ("ecg.b", 3), ("ecg.c", 2), ("control", SHIPPED["compression_level"])],
    )
    def test_stream_before_ward_before_pattern_before_default(self, group: str, expected: int) -> None:
        assert level(self.ALL, group, {"ecg.a": "icu", "ecg.b": "icu"}) == expected

    def test_each_setting_is_looked_up_by_itself(self) -> None:
        named = rows(
            ecg_any={"mem_level": 9, "window_bits": 9, "max_retries": 1},
            ward__icu={"mem_level": 8, "window_bits": 10},
            ecg_a={"mem_level": 7},
        )
        profile = resolve(named, {"ecg.a": "icu"}, 1).for_group("ecg.a")
        compression, backpressure = profile.compression, profile.backpressure
        assert (compression.mem_level, compression.window_bits, backpressure.max_retries) == (7, 10, 1)
        assert compression.level == SHIPPED["compression_level"]

    def test_longer_pattern_wins(self) -> None:
        named = rows(ecg_any={"compression_level": 2}) | {
            "ecg.ab*": {"compression_level": 3},
            "e*": {"mem_level": 9},
        }
        assert level(named, "ecg.abc") == 3
        assert level(named, "ecg.acb") == 2
        assert resolve(named, NOWHERE, 1).for_group("ecg.abc").compression.mem_level == 9

    def test_ward_wins_over_a_longer_pattern_and_inherits_from_it(self) -> None:
        named = rows(ward__icu={"compression_level": 2}) | {
            "ecg.ab*": {"compression_level": 3, "mem_level": 9}
        }
        found = resolve(named, {"ecg.abc": "icu", "ecg.x": "icu"}, 1)
        assert (found.for_group("ecg.abc").compression.level, found.for_group("ecg.x").compression.level) == (
            2,
            2,
        )
        assert found.for_group("ecg.abc").compression.mem_level == 9
        assert found.for_group("ecg.x").compression.mem_level == SHIPPED["mem_level"]

    def test_ward_governs_streams_that_come_later(self) -> None:
        found = resolve(rows(ward__icu={"compression_level": 2}), {"ecg.new": "icu"}, 1)
        assert found.for_group("ecg.new").compression.level == 2
        assert found.wards == {"icu"}
        assert found.places == {"ecg.new": "icu"}

    def test_group_that_nothing_else_governs_has_the_default_itself(self) -> None:
        # Lanes that share one profile follow it together.
        found = resolve(self.ALL, NOWHERE, 1)
        assert found.for_group("control") is found.default

    def test_zero_and_off_are_values(self) -> None:
        named = rows(
            ecg_any={"max_retries": 5, "emergency_mode": True},
            ecg_a={"max_retries": 0, "emergency_mode": False},
        )
        found = resolve(named, NOWHERE, 1).for_group("ecg.a").backpressure
        assert (found.max_retries, found.emergency_mode) == (0, False)

    def test_every_value_tells_whose_it_is(self) -> None:
        chain = chain_for(self.ALL, "ecg.b", "icu")
        assert chain == ("ward:icu", "ecg.*", "*")
        found = effective(self.ALL, chain)
        assert found["compression_level"] == (3, "ward:icu")
        assert found["mem_level"] == (SHIPPED["mem_level"], "*")
        assert list(found) == list(SETTINGS)

    def test_a_ward_without_a_row_is_none(self) -> None:
        assert chain_for(self.ALL, "ecg.b", "other") == chain_for(self.ALL, "ecg.b", None) == ("ecg.*", "*")

    @pytest.mark.parametrize(
        ("name", "chain"),
        [
            ("*", ("*",)),
            ("ecg.*", ("ecg.*", "*")),
            ("ward:icu", ("ward:icu", "ecg.*", "*")),
            ("ecg.a", ("ecg.a", "ward:icu", "ecg.*", "*")),
        ],
    )
    def test_a_row_inherits_along_its_chain(self, name: str, chain: tuple[str, ...]) -> None:
        assert chain_of(self.ALL, name, {"ecg.a": "icu"}) == chain


class TestFaults:
    def test_shipped_default_has_none(self) -> None:
        assert faults(rows(), NOWHERE) == []

    def test_value_is_wrong_alone(self) -> None:
        (fault,) = faults(rows(ecg_a={"age_low": 0.01}), NOWHERE)
        assert (fault.chain, fault.columns) == (("ecg.a",), ("age_low",))
        assert str(fault) == "ecg.a, age_low: max_age_s must be from 0.05 to 3600, not 0.01"

    def test_default_is_complete_and_others_have_no_connection(self) -> None:
        named = rows(ecg_a={"stall_s": 5.0})
        del named["*"]["mem_level"]
        assert {str(fault) for fault in faults(named, NOWHERE)} == {
            "default, mem_level: The default profile needs a value",
            "ecg.a, stall_s: Set in the default profile alone",
        }

    def test_what_is_wrong_together_names_all_that_meet(self) -> None:
        named = rows(ecg_any={"high_watermark": 0.5}, ward__icu={"low_watermark": 0.6})
        (fault,) = faults(named, NOWHERE)
        assert fault.chain == ("ward:icu", "ecg.*", "*")
        assert str(fault) == (
            "ward:icu: watermarks must be in order: 0 < low < high < critical <= 1, not 0.6, 0.5, 0.95 "
            "(with what it inherits from ecg.*, default)"
        )

    def test_stream_is_judged_with_its_ward(self) -> None:
        named = rows(ward__icu={"high_watermark": 0.5}, ecg_a={"low_watermark": 0.6})
        assert faults(named, NOWHERE) == []
        (fault,) = faults(named, {"ecg.a": "icu"})
        assert fault.chain == ("ecg.a", "ward:icu", "*")

    def test_ward_is_judged_with_every_pattern_that_may_govern_its_streams(self) -> None:
        named = rows(ward__icu={"low_watermark": 0.6}) | {
            "ecg.ab*": {"high_watermark": 0.5},
            "c*": {"low_watermark": 0.7},
        }
        assert [fault.chain for fault in faults(named, NOWHERE)] == [("ward:icu", "ecg.ab*", "*")]

    def test_quotas_must_sum_to_one_with_what_is_inherited(self) -> None:
        (fault,) = faults(rows(ecg_any={"quota_high": 0.5}), NOWHERE)
        assert fault.text == "quotas must sum to 1, not 1.1000."

    def test_values_that_are_no_numbers_are_faults_and_no_crash(self) -> None:
        named = rows(
            ecg_a={
                "low_watermark": "much",
                "quota_high": "x",
                "mem_level": "x",
                "age_low": "x",
                "emergency_mode": 1,
            }
        )
        told = {fault.columns[0] for fault in faults(named, NOWHERE)}
        assert told == {"low_watermark", "quota_high", "mem_level", "age_low", "emergency_mode"}

    def test_rows_that_are_not_valid_resolve_to_nothing(self) -> None:
        with pytest.raises(ProfileError, match=r"profile ecg\.a, mem_level: .*; profile ecg\.b: watermarks"):
            resolve(rows(ecg_a={"mem_level": 99}, ecg_b={"low_watermark": 0.9}), NOWHERE, 1)
