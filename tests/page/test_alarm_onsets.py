"""From the first sample of a lethal rhythm at the device to its alarm painted on the page of the ward."""

from __future__ import annotations

import pytest

from tests.alarm_onsets import RHYTHMS
from tests.page.lethal import play_lethal
from tests.page.scene import Scene

pytestmark = [pytest.mark.server, pytest.mark.browser]


async def test_each_lethal_alarm_is_shown_soon_after_its_rhythm_has_begun(ward: Scene) -> None:
    shown = await play_lethal(ward, ("I", "II", "V1"), seed=1)
    assert {alarm.kind for alarm in shown} == set(RHYTHMS)
    for alarm in shown:
        assert 0.0 < alarm.raised_s < alarm.shown_s <= alarm.bound_s, alarm
