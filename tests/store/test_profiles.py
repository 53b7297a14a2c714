"""Profiles in the database: what is valid, what is inherited, and who learns of a change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from streaming.core.precedence import DEFAULT_NAME
from streaming.core.priority import MessagePriority
from streaming.core.profile_columns import SETTINGS, columns_of, profile_of
from streaming.core.profiles import GroupProfile, ProfileSet
from streaming.core.renditions import LADDER, Quality
from streaming.core.streams import group_of
from streaming.exceptions import ProfileError
from streaming.models_profile_versions import ProfileVersion, profiles_changed
from streaming.models_profiles import Profile
from streaming.store import feeds, profiles
from tests.store.people import hospital

pytestmark = pytest.mark.django_db


def override(group: str = "ecg.a", **values: Any) -> Profile:
    """A valid override, stored."""
    profile = Profile(group=group, **values)
    profile.full_clean()
    profile.save()
    return profile


def faults(profile: Profile) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        profile.full_clean()
    return caught.value.message_dict


@pytest.fixture
def heard() -> Iterator[list[int]]:
    versions: list[int] = []

    def receive(version: int, **_kwargs: Any) -> None:
        versions.append(version)

    profiles_changed.connect(receive)
    yield versions
    profiles_changed.disconnect(receive)


class TestDefault:
    def test_fresh_database_holds_the_shipped_values(self) -> None:
        loaded = profiles.load()
        assert loaded.default == GroupProfile()
        assert loaded.overrides == {}

    def test_shipped_values_are_valid(self) -> None:
        Profile.objects.default().full_clean()

    def test_every_number_of_the_specification_is_there(self) -> None:
        row = Profile.objects.default()
        assert (row.window_bits, row.mem_level, row.compression_level) == (12, 5, 6)
        assert (row.compression_threshold, row.max_buffer_size, row.max_retries) == (1024, 10_000, 3)
        assert (row.high_watermark, row.low_watermark, row.critical_watermark) == (0.8, 0.2, 0.95)
        quotas = (row.quota_critical, row.quota_high, row.quota_normal, row.quota_low, row.quota_bulk)
        assert quotas == (0.30, 0.40, 0.20, 0.08, 0.02)
        assert row.emergency_mode is True

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_default_needs_every_value(self, setting: str) -> None:
        row = Profile.objects.default()
        setattr(row, setting, None)
        assert faults(row) == {setting: ["The default profile needs a value."]}
        with pytest.raises(IntegrityError, match="profile_default_is_complete"), transaction.atomic():
            row.save()

    def test_default_cannot_be_deleted(self) -> None:
        row = Profile.objects.default()
        override()
        before = profiles.current_version()
        with pytest.raises(models.ProtectedError):
            row.delete()
        with pytest.raises(models.ProtectedError):
            Profile.objects.all().delete()
        assert Profile.objects.count() == 2
        assert profiles.current_version() == before

    def test_default_cannot_take_another_name(self) -> None:
        row = Profile.objects.get(group=DEFAULT_NAME)
        row.group = "ecg.a"
        assert "group" in faults(row)

    def test_there_is_one_default(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Profile(**columns_of(GroupProfile()), group=DEFAULT_NAME).save()

    def test_ensure_default_leaves_what_is_there(self) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(compression_level=3)
        assert profiles.ensure_default().compression_level == 3

    @pytest.mark.django_db(transaction=True)
    def test_default_is_there_again_after_a_flush(self) -> None:
        call_command("flush", interactive=False, verbosity=0)
        assert profiles.load().default == GroupProfile()


class TestInheritance:
    def test_empty_override_is_the_default(self) -> None:
        override("ecg.a")
        assert profiles.load().overrides == {"ecg.a": GroupProfile()}

    def test_override_changes_its_own_numbers_alone(self) -> None:
        override("ecg.a", compression_level=9, max_buffer_size=20_000, emergency_mode=False, age_high=0.5)
        loaded = profiles.load().for_group("ecg.a")
        assert loaded.compression.level == 9
        assert loaded.compression.window_bits == 12
        assert loaded.backpressure.max_buffer_size == 20_000
        assert loaded.backpressure.emergency_mode is False
        assert loaded.backpressure.bounds[MessagePriority.HIGH].max_age_s == 0.5
        assert loaded.backpressure.bounds[MessagePriority.HIGH].max_bytes == 256 * 1024

    def test_changed_default_shows_through_what_is_inherited(self) -> None:
        override("ecg.a", compression_level=9)
        Profile.objects.filter(group=DEFAULT_NAME).update(compression_level=1, mem_level=8)
        loaded = profiles.load().for_group("ecg.a").compression
        assert (loaded.level, loaded.mem_level) == (9, 8)

    def test_falsy_values_override_too(self) -> None:
        override("ecg.a", max_retries=0, compression_threshold=0, age_normal=0.0)
        loaded = profiles.load().for_group("ecg.a")
        assert loaded.backpressure.max_retries == 0
        assert loaded.compression.threshold_bytes == 0
        assert loaded.backpressure.bounds[MessagePriority.NORMAL].max_age_s is None

    def test_group_without_override_gets_the_default(self) -> None:
        override("ecg.a", compression_level=9)
        assert profiles.load().for_group("ecg.b") == GroupProfile()

    def test_load_asks_the_database_twice_however_many_rows(self, django_assert_num_queries: Any) -> None:
        for n in range(5):
            override(f"ecg.{n}", compression_level=n + 1)
        with django_assert_num_queries(2):
            assert len(profiles.load().overrides) == 5


class TestWardsAndPatterns:
    def test_streams_of_a_ward_and_of_a_pattern(self) -> None:
        place = hospital()
        override("ward:ward-a", compression_level=2)
        override("ecg.*", compression_level=3, mem_level=9)
        loaded = profiles.load()
        mine, theirs = (loaded.for_group(group_of(place.streams[ward].pk)).compression for ward in "ab")
        assert (mine.level, mine.mem_level) == (2, 9)
        assert (theirs.level, theirs.mem_level) == (3, 9)
        assert loaded.for_group("control") is loaded.default

    def test_stream_that_has_ended_lies_in_no_ward(self) -> None:
        place = hospital()
        override("ward:ward-a", compression_level=2)
        assert set(profiles.places({"ward-a"})) == {group_of(place.streams["a"].pk)}
        feeds.end_admission(place.streams["a"], actor="system:test")
        assert profiles.places({"ward-a"}) == {}

    def test_places_ask_nobody_without_wards(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert profiles.places(frozenset()) == {}

    def test_override_is_judged_with_its_ward_and_pattern(self) -> None:
        override("ecg.*", high_watermark=0.6)
        found = faults(Profile(group="ward:icu", low_watermark=0.7))
        assert "in order" in found["low_watermark"][0]

    def test_ward_cannot_break_an_override_that_inherits_from_it(self) -> None:
        place = hospital()
        group = group_of(place.streams["a"].pk)
        override(group, low_watermark=0.7)
        found = faults(Profile(group="ward:ward-a", high_watermark=0.6))
        assert found["__all__"][0].startswith(
            f"{group} would no longer be valid: watermarks must be in order"
        )

    def test_pattern_is_told_at_no_field_what_only_meets_in_a_ward(self) -> None:
        override("ward:icu", low_watermark=0.7)
        found = faults(Profile(group="ecg.ab*", high_watermark=0.6))
        assert list(found) == ["__all__"]
        assert found["__all__"][0].startswith("ward:icu would no longer be valid")


class TestValidation:
    @pytest.mark.parametrize(
        ("setting", "value", "message"),
        [
            ("window_bits", 8, "window_bits must be an integer from 9 to 15, not 8."),
            ("window_bits", 16, "window_bits must be an integer from 9 to 15, not 16."),
            ("mem_level", 10, "mem_level must be an integer from 1 to 9, not 10."),
            ("compression_level", 0, "level must be an integer from 1 to 9, not 0."),
            ("compression_threshold", 2_000_000, "threshold_bytes must be an integer from 0 to 1048576"),
            ("max_buffer_size", 9, "max_buffer_size must be an integer from 10 to 1000000, not 9."),
            ("max_retries", 21, "max_retries must be an integer from 0 to 20, not 21."),
            ("bytes_high", 1023, "max_bytes must be an integer from 1024"),
            ("age_low", 0.01, "max_age_s must be from 0.05 to 3600"),
            ("age_bulk", 3601.0, "max_age_s must be from 0.05 to 3600"),
            ("age_high", 0.0, "max_age_s must be from 0.05 to 3600"),
            ("quota_bulk", 1.0, "every priority needs a quota between 0 and 1."),
        ],
    )
    def test_message_stands_at_the_field(self, setting: str, value: float, message: str) -> None:
        found = faults(Profile(group="ecg.a", **{setting: value}))
        assert list(found) == [setting]
        assert len(found[setting]) == 1
        assert found[setting][0].startswith(message)

    def test_watermarks_are_checked_against_what_is_inherited(self) -> None:
        found = faults(Profile(group="ecg.a", low_watermark=0.85))
        assert list(found) == ["low_watermark"]
        assert "in order" in found["low_watermark"][0]

    def test_watermarks_of_one_row_are_told_together(self) -> None:
        assert set(faults(Profile(group="ecg.a", high_watermark=0.3, low_watermark=0.5))) == {
            "high_watermark",
            "low_watermark",
        }

    def test_levels_must_be_in_order_with_what_is_inherited(self) -> None:
        found = faults(Profile(group="ecg.a", min_level=7))
        assert found == {
            "min_level": ["levels must be in order: 1 <= min <= level <= max <= 9, not 7, 6, 9."]
        }
        override("ecg.a", min_level=7, compression_level=8)

    def test_best_rendition_is_one_that_there_is(self) -> None:
        assert "best_rendition" in faults(Profile(group="ecg.a", best_rendition="best"))
        override("ecg.a", best_rendition="display-0.5")
        loaded = profiles.load()
        assert loaded.for_group("ecg.a").best_rendition.quality is Quality.DISPLAY
        assert loaded.default.best_rendition == LADDER[0]

    def test_quotas_must_sum_to_one_with_what_is_inherited(self) -> None:
        found = faults(Profile(group="ecg.a", quota_high=0.5))
        assert found == {"quota_high": ["quotas must sum to 1, not 1.1000."]}
        override("ecg.a", quota_high=0.5, quota_normal=0.1)

    def test_default_cannot_break_an_override(self) -> None:
        override("ecg.a", low_watermark=0.7)
        row = Profile.objects.default()
        row.high_watermark = 0.6
        found = faults(row)
        assert found["__all__"][0].startswith("ecg.a would no longer be valid: watermarks must be in order")

    def test_connection_is_set_in_the_default_alone(self) -> None:
        assert faults(Profile(group="ecg.a", stall_s=5.0)) == {
            "stall_s": ["Set in the default profile alone."]
        }
        row = Profile.objects.default()
        row.stall_s, row.max_window_bytes = 20.0, 65_536
        row.full_clean()
        row.save()
        assert profiles.load().default.connection.stall_s == 20.0

    @pytest.mark.parametrize(
        "group", ["", "ecg a", "ecg/a", "ecg.ä", "*x", "e*g", "ward:", "ward:a.b", "a" * 100, "ecg.a\n"]
    )
    def test_group_is_a_name_that_the_layer_takes(self, group: str) -> None:
        assert "group" in faults(Profile(group=group))

    def test_group_has_one_profile(self) -> None:
        override("ecg.a")
        assert "group" in faults(Profile(group="ecg.a"))

    def test_text_where_a_number_belongs_is_a_fault_and_no_crash(self) -> None:
        found = faults(Profile(group="ecg.a", low_watermark="much", mem_level="x"))
        assert set(found) >= {"low_watermark", "mem_level"}


class TestDatabase:
    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({"window_bits": 8}, "profile_window_bits"),
            ({"group": "e*g"}, "profile_group_is_a_name"),
            ({"mem_level": 0}, "profile_mem_level"),
            ({"compression_level": 10}, "profile_compression_level"),
            ({"compression_threshold": 1024 * 1024 + 1}, "profile_compression_threshold"),
            ({"min_level": 7, "compression_level": 6}, "profile_levels_in_order"),
            ({"min_level": 7, "max_level": 6}, "profile_levels_in_order"),
            ({"max_level": 10}, "profile_max_level"),
            ({"hysteresis": 0.6}, "profile_hysteresis"),
            ({"explore_share": 0.2}, "profile_explore_share"),
            ({"cpu_weight": 0.0}, "profile_cpu_weight"),
            ({"best_rendition": "best"}, "profile_best_rendition"),
            ({"max_buffer_size": 9}, "profile_max_buffer_size"),
            ({"max_retries": 21}, "profile_max_retries"),
            ({"low_watermark": 0.5, "high_watermark": 0.4}, "profile_watermarks_in_order"),
            ({"low_watermark": 0.0}, "profile_watermarks_in_order"),
            ({"critical_watermark": 1.01}, "profile_watermarks_in_order"),
            ({"quota_low": 0.0}, "profile_quota_low"),
            ({"bytes_bulk": 1023}, "profile_bytes_bulk"),
            ({"age_low": 0.01}, "profile_age_low"),
            ({"age_high": 0.0}, "profile_age_high"),
            ({"stall_s": 5.0}, "profile_override_has_no_connection"),
            (
                {
                    "quota_critical": 0.5,
                    "quota_high": 0.4,
                    "quota_normal": 0.2,
                    "quota_low": 0.08,
                    "quota_bulk": 0.02,
                },
                "profile_quotas_sum_to_1",
            ),
        ],
    )
    def test_constraint_refuses_what_passes_by_validation(self, values: dict[str, Any], name: str) -> None:
        before = profiles.current_version()
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Profile(**{"group": "ecg.a"} | values).save()
        assert profiles.current_version() == before, "a change that did not happen is no version"

    def test_bad_row_is_named_and_costs_nobody_what_he_has(self) -> None:
        override("ecg.good", compression_level=9)
        row = override("ecg.bad")
        # Its own constraint cannot see what is inherited.
        Profile.objects.filter(pk=row.pk).update(low_watermark=0.9)
        with pytest.raises(ProfileError, match=r"profile ecg\.bad: watermarks must be in order"):
            profiles.load()

    def test_lost_default_is_named(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM streaming_profile")
        with pytest.raises(ProfileError, match="no default profile"):
            profiles.load()


class TestVersion:
    def test_load_tells_the_current_version(self) -> None:
        override("ecg.a")
        assert profiles.load().version == profiles.current_version() > 0

    def test_current_version_is_one_query(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1):
            profiles.current_version()

    def test_version_is_zero_before_the_first_change(self) -> None:
        ProfileVersion.objects.all().delete()
        assert profiles.current_version() == 0
        override("ecg.a")
        assert profiles.current_version() == 1

    def test_row_knows_the_version_and_the_time_of_its_last_change(self) -> None:
        first = override("ecg.a")
        second = override("ecg.b")
        assert second.version == first.version + 1
        first.save()
        first.refresh_from_db()
        assert first.version == second.version + 1
        assert first.updated_at > second.updated_at

    def test_who_changed_is_kept_in_row_and_version(self) -> None:
        user = User.objects.create_user("ada")
        override("ecg.a", updated_by=user)
        assert ProfileVersion.objects.get().updated_by == user
        Profile.objects.get(group="ecg.a").delete()
        assert ProfileVersion.objects.get().updated_by == user

    def test_save_of_named_fields_bumps_and_keeps_its_version(self) -> None:
        row = override("ecg.a")
        before = row.version
        row.compression_level = 2
        row.save(update_fields=["compression_level"])
        row.refresh_from_db()
        assert (row.version, row.compression_level) == (before + 1, 2)

    @pytest.mark.parametrize(
        "change",
        [
            lambda: override("ecg.new"),
            lambda: Profile.objects.get(group="ecg.a").save(),
            lambda: Profile.objects.get(group="ecg.a").delete(),
            lambda: Profile.objects.filter(group="ecg.a").delete(),
            lambda: Profile.objects.exclude(group=DEFAULT_NAME).update(compression_level=2),
            lambda: Profile.objects.bulk_create([Profile(group="ecg.x"), Profile(group="ecg.y")]),
            lambda: Profile.objects.bulk_update([Profile.objects.get(group="ecg.a")], ["mem_level"]),
            lambda: Profile.objects.update_or_create(group="ecg.a", defaults={"mem_level": 3}),
        ],
        ids=["create", "save", "delete", "queryset delete", "update", "bulk create", "bulk update", "upsert"],
    )
    def test_every_way_to_change_is_one_version_announced_after_the_commit(
        self, change: Any, heard: list[int], django_capture_on_commit_callbacks: Any
    ) -> None:
        override("ecg.a")
        before = profiles.current_version()
        with django_capture_on_commit_callbacks(execute=True):
            change()
            assert heard == [], "nobody may load before the commit"
        assert profiles.current_version() == before + 1
        assert heard == [before + 1]

    def test_change_that_is_rolled_back_is_no_version(
        self, heard: list[int], django_capture_on_commit_callbacks: Any
    ) -> None:
        before = profiles.current_version()
        with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
            override("ecg.a")
            transaction.set_rollback(True)
        assert profiles.current_version() == before
        assert heard == []

    def test_user_who_leaves_leaves_the_profiles(self) -> None:
        user = User.objects.create_user("ada")
        override("ecg.a", updated_by=user)
        user.delete()
        assert Profile.objects.get(group="ecg.a").updated_by is None


_settings_of_an_override = st.fixed_dictionaries(
    {},
    optional={
        "window_bits": st.integers(7, 16),
        "mem_level": st.integers(0, 10),
        "compression_level": st.integers(0, 10),
        "max_buffer_size": st.integers(0, 2_000_000),
        "low_watermark": st.floats(0, 1),
        "high_watermark": st.floats(0, 1),
        "critical_watermark": st.floats(0, 1),
        "quota_high": st.sampled_from([0.4, 0.3, 0.0]),
        "quota_low": st.sampled_from([0.08, 0.18]),
        "bytes_high": st.integers(0, 70_000_000),
        "age_high": st.sampled_from([0.0, 0.01, 1.0, 5000.0]),
        "emergency_mode": st.booleans(),
    },
)


class TestLaw(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(_settings_of_an_override)
    def test_what_is_valid_is_stored_and_loaded_and_the_rest_is_refused(self, values: dict[str, Any]) -> None:
        profile = Profile(group="ecg.a", **values)
        try:
            profile.full_clean()
        except ValidationError:
            with pytest.raises(ProfileError):
                _as_transport_sees(profile)
            return
        profile.save()
        loaded: ProfileSet = profiles.load()
        assert loaded.for_group("ecg.a") == _as_transport_sees(profile)


def _as_transport_sees(profile: Profile) -> GroupProfile:
    if profile.age_high == 0:
        raise ProfileError("live ECG must expire")
    return profile_of({name: value for name, (value, _) in profile.effective.items()})
