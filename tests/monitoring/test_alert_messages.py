"""What is said of alerts, and how a receiver knows who said it."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest

from monitoring.alert_messages import MOST_TOLD, body, sign, subject, text
from monitoring.delivery_times import MOST_ATTEMPTS, MOST_RETRY_S, retry_s
from tests.monitoring.receiver import is_from_vital
from tests.servers import ROOT

SECRET = "vtw_secret"


def told(**values: Any) -> dict[str, Any]:
    return {
        "event": "opened",
        "alert": "0123456789abcdef",
        "rule": "Loss above target",
        "severity": "warning",
        "condition": "loss > 0.1 % for 60 s",
        "metric": "drop_rate",
        "unit": "share",
        "value": 0.02,
        "value_text": "2 %",
        "peak": 0.05,
        "peak_text": "5 %",
        "group": "ecg.k3xmq7rtw2ab",
        "process": "5f0c9a1e",
        "opened_at": "2026-03-01T12:00:00+00:00",
        "resolved_at": None,
        "reason": "",
        "advice": "Look at drops by reason.",
        **values,
    }


def test_body_is_the_same_at_each_attempt_and_bounded() -> None:
    many = [told(alert=f"{index:016x}") for index in range(MOST_TOLD + 7)]
    one = body("m1", "alerts", "2026-03-01T12:00:00+00:00", many)
    assert one == body("m1", "alerts", "2026-03-01T12:00:00+00:00", many)
    read = json.loads(one)
    assert (read["version"], read["id"], read["kind"], read["more"]) == (1, "m1", "alerts", 7)
    assert read["alerts"] == many[:MOST_TOLD]


def test_signature_proves_secret_time_and_content_to_the_receiver_of_the_documentation() -> None:
    content = body("m1", "test", "2026-03-01T12:00:00+00:00", [])
    headers = {"VITAL-Timestamp": "1000", "VITAL-Signature": sign(SECRET, 1000, content)}
    assert is_from_vital(SECRET, headers, content, now=1300)
    assert is_from_vital(SECRET, headers, content, now=700)
    assert not is_from_vital(SECRET, headers, content, now=1301)
    assert not is_from_vital(SECRET, headers, content + b" ", now=1100)
    assert not is_from_vital("vtw_other", headers, content, now=1100)
    assert not is_from_vital(SECRET, headers | {"VITAL-Timestamp": "1001"}, content, now=1100)
    assert not is_from_vital(SECRET, {}, content, now=1100)


def test_fields_of_a_message_are_described() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (example,) = re.findall(r"```json\n(\{\n  \"version\".*?)```", page, re.DOTALL)
    read = json.loads(example)
    assert read.keys() == json.loads(body("m", "alerts", "", [])).keys()
    assert read["alerts"][0].keys() == told().keys()


def test_subject_is_one_line_and_names_the_first_that_opened() -> None:
    assert subject("alerts", [told()]) == "[VITAL] warning: Loss above target"
    resolved = told(event="resolved", rule="Event loop late")
    assert subject("alerts", [resolved]) == "[VITAL] resolved: Event loop late"
    assert subject("alerts", [resolved, told()]) == "[VITAL] warning: Loss above target and 1 more"
    assert "\n" not in subject("alerts", [told(rule="a\nBcc: b@example.org")])
    assert "test" in subject("test", [])


def test_mail_says_what_where_since_when_and_what_to_do() -> None:
    said = text("alerts", [told()], "Not a medical device.")
    for words in (
        "OPENED (warning): Loss above target",
        "loss > 0.1 % for 60 s; now 2 %, at worst 5 %",
        "group ecg.k3xmq7rtw2ab, process 5f0c9a1e, since 2026-03-01T12:00:00+00:00",
        "What to do: Look at drops by reason.",
        "not alarms of patients",
        "Not a medical device.",
    ):
        assert words in said
    over = text("alerts", [told(event="resolved", resolved_at="later", reason="fine again", group="")], "")
    assert "resolved at later: fine again" in over
    assert "  process 5f0c9a1e, since" in over
    assert "What to do" not in over


def test_mail_is_bounded() -> None:
    said = text("alerts", [told()] * (MOST_TOLD + 3), "")
    assert said.count("OPENED") == MOST_TOLD
    assert "And 3 more" in said


def test_attempts_come_ever_later_with_jitter_and_end() -> None:
    earliest, latest = Random(), Random()
    earliest.random, latest.random = lambda: 0.0, lambda: 1.0  # type: ignore[method-assign]
    waits = [(retry_s(attempts, earliest), retry_s(attempts, latest)) for attempts in range(1, MOST_ATTEMPTS)]
    assert waits[:3] == [(2.5, 5), (5, 10), (10, 20)]
    assert waits[-1] == (MOST_RETRY_S / 2, MOST_RETRY_S)
    assert retry_s(MOST_ATTEMPTS, Random()) is None


@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_of_the_randomness_that_is_given(seed: int) -> None:
    assert retry_s(4, Random(seed)) == retry_s(4, Random(seed))
    assert retry_s(4, Random(seed)) != retry_s(4, Random(seed + 1))
