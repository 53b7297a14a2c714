"""Tokens: only their digest is kept, only the right one is found, and rotation overlaps."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta

import pytest
from django.core import serializers
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from streaming.models import ApiToken, Device, DeviceToken
from streaming.store import tokens
from streaming.store.tokens import ROTATION_OVERLAP, IssuedToken
from tests.store.people import Hospital


@pytest.fixture
def device(db: None) -> Device:
    """A device without tokens."""
    return Device.objects.create(name="bedside 1")


def issue(device: Device, **options: timedelta | None) -> IssuedToken:
    """A token for it."""
    return tokens.issue_device_token(device, actor="system:test", **options)


def test_token_is_found_by_itself_alone(device: Device) -> None:
    issued = issue(device)
    assert re.fullmatch(r"vtd_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", issued.text)
    found = tokens.find_device_token(issued.text)
    assert found is not None
    assert found.device == device


def test_only_prefix_and_digest_are_stored(device: Device, place: Hospital) -> None:
    issued = [issue(device), tokens.issue_api_token(place.user("u"), "n", [], actor="system:test")]
    rows = serializers.serialize("json", [*DeviceToken.objects.all(), *ApiToken.objects.all()])
    for token in issued:
        prefix, _, secret = token.text[4:].partition("_")
        assert prefix in rows
        assert secret not in rows
        assert hashlib.sha256(token.text.encode()).hexdigest() in rows
    assert len(json.loads(rows)) == 2


def test_token_does_not_show_itself(device: Device) -> None:
    issued = issue(device)
    assert issued.text not in repr(issued)
    assert issued.text not in str(DeviceToken.objects.get())


@pytest.mark.parametrize("at", [0, 4, 12, 13, 20, -1])
def test_token_with_one_wrong_letter_is_not_found(at: int, device: Device) -> None:
    text = issue(device).text
    wrong = list(text)
    wrong[at] = "b" if wrong[at] != "b" else "c"
    assert tokens.find_device_token("".join(wrong)) is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the examples only read
@given(text=st.text(max_size=80) | st.from_regex(r"vtd_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_anything_else_is_not_found(text: str, place: Hospital) -> None:
    issue(place.device("a"))
    assert tokens.find_device_token(text) is None


def test_looking_for_none_takes_as_many_queries_as_finding_one(
    device: Device, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    issued = issue(device).text
    for text in (issued, issued[:-1] + "~", "", "vta" + issued[3:], "x" * 1000):
        with django_assert_num_queries(1):
            tokens.find_device_token(text)


class TestRotation:
    """A new token, and the old one for a while."""

    def test_old_token_works_until_the_overlap_ends(self, device: Device) -> None:
        old, new = issue(device), issue(device)
        assert tokens.find_device_token(old.text) is not None
        assert tokens.find_device_token(new.text) is not None
        ends = DeviceToken.objects.get(prefix=old.prefix).expires
        assert ends is not None
        assert abs(ends - timezone.now() - ROTATION_OVERLAP) < timedelta(minutes=1)
        assert DeviceToken.objects.get(prefix=new.prefix).expires is None

    def test_without_overlap_it_ends_at_once(self, device: Device) -> None:
        old = issue(device)
        issue(device, overlap=timedelta(0))
        assert tokens.find_device_token(old.text) is None

    def test_other_tokens_may_stay_as_they_are(self, device: Device) -> None:
        old = issue(device)
        issue(device, overlap=None)
        assert DeviceToken.objects.get(pk=old.token_id).expires is None

    def test_overlap_never_lengthens_a_life(self, device: Device) -> None:
        old = issue(device, lifetime=timedelta(minutes=1))
        before = DeviceToken.objects.get(prefix=old.prefix).expires
        issue(device)
        assert DeviceToken.objects.get(prefix=old.prefix).expires == before

    def test_other_devices_keep_their_tokens(self, device: Device) -> None:
        other = issue(Device.objects.create(name="bedside 2"))
        issue(device)
        assert DeviceToken.objects.get(prefix=other.prefix).expires is None


class TestEnd:
    """Expired and revoked."""

    def test_lifetime(self, device: Device) -> None:
        assert tokens.find_device_token(issue(device, lifetime=timedelta(hours=1)).text) is not None
        assert tokens.find_device_token(issue(device, lifetime=timedelta(0)).text) is None

    def test_revoked_token_is_not_found(self, device: Device) -> None:
        text = issue(device).text
        tokens.revoke(DeviceToken.objects.get(), actor="system:test")
        assert tokens.find_device_token(text) is None

    def test_second_revocation_changes_nothing(self, device: Device) -> None:
        issue(device)
        token = DeviceToken.objects.get()
        tokens.revoke(token, actor="system:test")
        when = token.revoked
        tokens.revoke(token, actor="system:test")
        assert DeviceToken.objects.get().revoked == when
