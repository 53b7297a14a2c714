"""Versions of the profiles: what each changed, and how it is undone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from streaming.core.precedence import DEFAULT_NAME
from streaming.core.profile_columns import columns_of
from streaming.core.profiles import GroupProfile
from streaming.exceptions import ProfileError
from streaming.models_profile_versions import ProfileRevision
from streaming.models_profiles import Profile
from streaming.store import profile_changes, profiles
from streaming.store.profile_changes import Plan

pytestmark = pytest.mark.django_db


def stored() -> dict[str, Any]:
    return dict(Profile.objects.all().as_rows())


def newest() -> ProfileRevision:
    revision = ProfileRevision.objects.first()
    assert revision is not None
    assert revision.number == profiles.current_version()
    return revision


def do(plan: Plan, cause: str = "test") -> int:
    assert plan.faults == []
    return profile_changes.apply(plan, by=None, cause=cause)


class TestRecord:
    def test_creation_change_and_deletion_tell_what_they_changed(self) -> None:
        user = User.objects.create_user("ada")
        row = Profile(group="ecg.a", mem_level=7, updated_by=user)
        row.change_comment = "slow line"
        row.save()
        made = newest()
        assert (made.by, made.comment, made.changes) == (
            user,
            "slow line",
            {"ecg.a": [None, {"mem_level": 7}]},
        )
        row.mem_level, row.max_retries = None, 0
        row.save()
        (change,) = profile_changes.changes_of(newest())
        assert (change.verb, change.values) == ("change", [("mem_level", 7, None), ("max_retries", None, 0)])
        row.delete()
        (change,) = profile_changes.changes_of(newest())
        assert (change.verb, change.values) == ("delete", [("max_retries", 0, None)])

    @pytest.mark.parametrize(
        "change",
        [
            lambda: Profile.objects.filter(group="ecg.a").update(mem_level=2),
            lambda: Profile.objects.bulk_create([Profile(group="ecg.x"), Profile(group="ecg.y")]),
            lambda: Profile.objects.filter(group="ecg.a").delete(),
        ],
    )
    def test_what_is_done_to_many_rows_is_recorded_too(self, change: Any) -> None:
        Profile(group="ecg.a").save()
        before = stored()
        change()
        assert newest().changes == {
            name: [before.get(name), stored().get(name)]
            for name in before.keys() | stored().keys()
            if before.get(name) != stored().get(name)
        }
        assert newest().changes

    def test_save_without_a_change_is_a_version_that_changed_nothing(self) -> None:
        Profile.objects.default().save()
        assert newest().changes == {}

    def test_values_survive_the_record_exactly(self) -> None:
        Profile(group="ecg.a", low_watermark=0.1 + 0.2, age_high=1e-1).save()
        _, after = newest().changes["ecg.a"]
        assert after == {"low_watermark": 0.1 + 0.2, "age_high": 0.1}


class TestUndo:
    def test_change_is_taken_back_and_what_others_changed_since_stays(self) -> None:
        row = Profile.objects.default()
        row.mem_level = 9
        row.save()
        undone = newest()
        row.compression_level = 1
        row.save()
        plan = profile_changes.undone(undone)
        assert [(c.name, c.values) for c in plan.changes] == [(DEFAULT_NAME, [("mem_level", 9, 5)])]
        version = do(plan)
        assert (newest().number, newest().cause) == (version, "test")
        default = profiles.load().default.compression
        assert (default.mem_level, default.level) == (5, 1)

    def test_creation_is_taken_back_by_deletion_and_deletion_by_creation(self) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        created = newest()
        do(profile_changes.undone(created))
        assert "ecg.a" not in stored()
        do(profile_changes.undone(newest()))
        assert stored()["ecg.a"] == {"mem_level": 7}

    def test_undo_is_undone(self) -> None:
        row = Profile(group="ecg.a", mem_level=7)
        row.save()
        row.mem_level = 8
        row.save()
        do(profile_changes.undone(newest()))
        assert stored()["ecg.a"] == {"mem_level": 7}
        do(profile_changes.undone(newest()))
        assert stored()["ecg.a"] == {"mem_level": 8}

    def test_undo_that_would_not_be_valid_says_so_and_does_nothing(self) -> None:
        row = Profile.objects.default()
        row.high_watermark = 0.9
        row.save()
        change = newest()
        Profile(group="ecg.a", low_watermark=0.85).save()
        before = stored()
        plan = profile_changes.undone(change)
        (fault,) = plan.faults
        assert str(fault).startswith("ecg.a: watermarks must be in order")
        with pytest.raises(ProfileError, match="in order"):
            profile_changes.apply(plan, by=None, cause="test")
        assert stored() == before

    def test_default_is_never_undone_into_nothing(self) -> None:
        first = ProfileRevision.objects.get(number=1)
        assert first.changes[DEFAULT_NAME][0] is None
        (fault,) = profile_changes.undone(first).faults
        assert str(fault) == "default: it has to be there, with a value for every setting"


class TestReturn:
    def test_everything_is_as_it_was(self) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        Profile(group="ecg.b", low_watermark=0.1).save()
        then, version = stored(), profiles.current_version()
        Profile.objects.filter(group="ecg.a").update(mem_level=1)
        Profile.objects.get(group="ecg.b").delete()
        Profile(group="ward:icu", mem_level=2).save()
        Profile.objects.filter(group=DEFAULT_NAME).update(max_retries=1)
        made = do(profile_changes.returned_to(version))
        assert stored() == then
        assert made == version + 5
        do(profile_changes.returned_to(made - 1))
        assert "ward:icu" in stored()

    def test_default_of_an_older_release_keeps_the_settings_that_came_since(self) -> None:
        Profile.objects.filter(group=DEFAULT_NAME).update(mem_level=9)
        revision = newest()
        before, after = revision.changes[DEFAULT_NAME]
        del before["max_retries"]
        before["of_former_days"] = 1
        revision.changes = {DEFAULT_NAME: [before, after]}
        revision.save()
        plan = profile_changes.returned_to(revision.number - 1)
        assert plan.target[DEFAULT_NAME] == columns_of(GroupProfile())

    def test_hole_in_the_history_is_told(self) -> None:
        Profile(group="ecg.a").save()
        Profile(group="ecg.b").save()
        newest().delete()
        with pytest.raises(ProfileError, match="not all versions after 1 are known"):
            profile_changes.returned_to(1)


class TestPlan:
    def test_named_values_are_set_and_all_else_stays(self) -> None:
        Profile(group="ecg.a", mem_level=7).save()
        do(
            profile_changes.merged(
                {DEFAULT_NAME: {"max_retries": 1}, "ecg.a": {"max_retries": 2}, "ecg.*": {}}
            )
        )
        assert stored()["ecg.a"] == {"mem_level": 7, "max_retries": 2}
        assert stored()["ecg.*"] == {}
        assert stored()[DEFAULT_NAME] == columns_of(GroupProfile()) | {"max_retries": 1}

    def test_rows_that_are_not_named_go_when_all_is_replaced(self) -> None:
        Profile(group="ecg.a").save()
        target = {DEFAULT_NAME: columns_of(GroupProfile()), "ecg.b": {"mem_level": 3}}
        plan = profile_changes.replaced(target)
        assert [(change.verb, change.name) for change in plan.changes] == [
            ("delete", "ecg.a"),
            ("add", "ecg.b"),
        ]
        do(plan)
        assert stored() == target

    def test_row_that_others_need_is_not_deleted(self) -> None:
        Profile(group="ecg.*", high_watermark=0.9).save()
        Profile(group="ecg.a", low_watermark=0.85).save()
        (fault,) = profile_changes.without(["ecg.*"]).faults
        assert str(fault).startswith("ecg.a: watermarks must be in order")
        assert profile_changes.without(["ecg.*", "ecg.a"]).faults == []

    def test_name_that_nothing_can_have_is_told(self) -> None:
        plan = profile_changes.merged({"e*g": {}})
        assert [str(fault) for fault in plan.faults] == ["e*g: this is no name of a group, ward or pattern"]

    def test_plan_of_a_former_version_is_not_carried_out(self) -> None:
        plan = profile_changes.merged({"ecg.a": {}})
        Profile(group="ecg.b").save()
        version = profiles.current_version()
        with pytest.raises(ProfileError, match="changed meanwhile"):
            profile_changes.apply(plan, by=None, cause="test")
        assert profiles.current_version() == version
        assert "ecg.a" not in stored()

    def test_rows_know_who_changed_them_and_others_do_not_change(self) -> None:
        user = User.objects.create_user("ada")
        Profile(group="ecg.a").save()
        Profile(group="ecg.b").save()
        plan = profile_changes.merged({"ecg.a": {"mem_level": 3}, "ecg.c": {}})
        version = profile_changes.apply(plan, by=user, cause="test", comment="why")
        rows = {row.group: row for row in Profile.objects.all()}
        assert {name for name, row in rows.items() if row.version == version} == {"ecg.a", "ecg.c"}
        assert rows["ecg.a"].updated_by == rows["ecg.c"].updated_by == user
        assert rows["ecg.b"].updated_by is None
        assert newest().comment == "why"
