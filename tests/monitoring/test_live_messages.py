"""What a live page may say, and how the server refuses anything else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from monitoring import live_messages
from monitoring.alert_store import OpenNow
from monitoring.live_messages import MAX_REASON, MOST_NAMES, Ack, Cut, CutOutcome, Hello, Inspect, Names
from monitoring.models_alerts import Alert
from monitoring.slowness import Cause
from streaming.exceptions import ProtocolError
from streaming.store.processes import Process, Refusal
from tests.servers import ROOT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = (ROOT / "docs" / "live.md").read_text()
SAID = {
    "welcome": live_messages.welcome(
        process="p", server_ms=0, may_cut=True, may_name=True, may_see_alerts=True
    ),
    "rights": live_messages.rights(may_cut=True, may_name=True, may_see_alerts=True),
    "processes": live_messages.processes([], 1),
    "alerts": live_messages.alerts(OpenNow([], 0), NOON),
    "gone": live_messages.viewer_is_gone("9f2c61d0"),
    "cut": live_messages.cut("9f2c61d0", CutOutcome.DONE),
    "names": live_messages.names({}, {}),
}


def said(**fields: object) -> live_messages.LiveMessage | None:
    return live_messages.parse(json.dumps(fields))


def test_each_message_is_read() -> None:
    assert said(type="hello", protocol="vital.live.v1") == Hello()
    assert said(type="ack", n=7) == Ack(7)
    assert said(type="inspect", connection="9f2c61d0") == Inspect("9f2c61d0")
    assert said(type="inspect", connection=None) == Inspect(None)
    assert said(type="cut", connection="9f2c61d0", reason="moved") == Cut("9f2c61d0", "moved")
    assert said(type="cut", connection="9f2c61d0", reason="") == Cut("9f2c61d0", "")
    assert said(type="names", users=["7"], streams=["a2b"]) == Names((7,), ("a2b",))
    assert said(type="something new") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "hello"},
        {"type": "hello", "protocol": "vital.v1"},
        {"type": "ack", "n": -1},
        {"type": "inspect", "connection": "9F2C61D0"},
        {"type": "inspect", "connection": "9f2c61d"},
        {"type": "cut", "reason": "whom?"},
        {"type": "cut", "connection": "9f2c61d0", "reason": "x" * (MAX_REASON + 1)},
        {"type": "cut", "connection": "9f2c61d0", "reason": "line\nfeed"},
        {"type": "names", "users": [7], "streams": []},
        {"type": "names", "users": ["0"], "streams": []},
        {"type": "names", "users": [], "streams": ["a/b"]},
        {"type": "names", "users": [], "streams": ["a"] * (MOST_NAMES + 1)},
        {"type": "names", "users": []},
    ],
)
def test_what_is_malformed_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        live_messages.parse(json.dumps(fields))


def test_a_process_is_told_with_why_it_keeps_former_settings() -> None:
    known = [
        Process("0123abcd", "host", 7, 4, None, 1.23),
        Process("4567abcd", "host", 8, 3, Refusal(4, "levels must be in order"), 99.0),
    ]
    told = json.loads(live_messages.processes(known, 4))
    assert told["version"] == 4
    assert told["processes"][0] == {
        "process": "0123abcd",
        "host": "host",
        "pid": 7,
        "version": 4,
        "refusal": None,
        "silent_s": 1.2,
        "is_gone": False,
    }
    assert (told["processes"][1]["refusal"], told["processes"][1]["is_gone"]) == (
        "levels must be in order",
        True,
    )


def test_answers_are_what_the_page_reads() -> None:
    assert json.loads(live_messages.cut("9f2c61d0", CutOutcome.UNANSWERED)) == {
        "type": "cut",
        "connection": "9f2c61d0",
        "outcome": "unanswered",
    }
    assert json.loads(live_messages.names({7: "nurse"}, {"a": "Ward, bed 1"})) == {
        "type": "names",
        "users": {"7": "nurse"},
        "streams": {"a": "Ward, bed 1"},
    }
    assert json.loads(live_messages.viewer_is_gone("9f2c61d0"))["type"] == "gone"
    assert json.loads(live_messages.rights(may_cut=True, may_name=False, may_see_alerts=False)) == {
        "type": "rights",
        "may_cut": True,
        "may_name": False,
        "may_see_alerts": False,
    }


def test_alerts_are_told_with_their_values_in_words_and_how_many_there_are() -> None:
    of_group = Alert(
        uid="a1",
        name="loss",
        severity="critical",
        condition="loss > 1 % for 60 s",
        metric="drop_rate",
        group="ecg.a",
        process="0123abcd",
        opened_at=NOON - timedelta(seconds=90),
        value=0.025,
    )
    of_former_release = Alert(metric="no_more", opened_at=NOON + timedelta(seconds=1), value=2.0)
    told = json.loads(live_messages.alerts(OpenNow([of_group, of_former_release], 30), NOON))
    assert told["count"] == 30
    assert told["alerts"][0] == {
        "alert": "a1",
        "severity": "critical",
        "rule": "loss",
        "condition": "loss > 1 % for 60 s",
        "group": "ecg.a",
        "process": "0123abcd",
        "value_text": "2.5 %",
        "open_s": 90,
    }
    assert (told["alerts"][1]["value_text"], told["alerts"][1]["open_s"]) == ("2", 0)
    for field in told["alerts"][0]:
        assert re.search(rf"[`\"]{field}[`\"]", PAGE), field


@pytest.mark.parametrize("kind", [*live_messages._READERS, *SAID])
def test_every_message_is_described(kind: str) -> None:
    assert re.search(rf"^#### `{kind}`$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("text", SAID.values(), ids=SAID)
def test_every_field_that_is_said_is_described(text: str) -> None:
    for field in json.loads(text):
        assert re.search(rf"[`\"]{field}[`\"]", PAGE), field


def test_every_outcome_and_cause_is_described() -> None:
    for word in (*CutOutcome, *Cause):
        assert re.search(rf"[`\"]{word.value}[`\"]", PAGE), word
