"""Alarms all the way: found in samples or by the device, stored, drawn, and seen to by somebody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect

from streaming.client import AlarmSeverity, Device, Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.ecg.simulator import Simulator
from tests.page.scene import DEADLINE_MS, RATE_HZ, Bed, Scene, traced

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

MAY = ("acknowledge_alarms", "pause_alarm_audio", "switch_off_alarms")
SPEED = 2.0
"""Of a simulated patient: an alarm is raised by samples, however fast they come."""


def _tile(page: Page, bed: Bed) -> Any:
    return page.locator(f'.tile[data-stream="{bed.stream}"]')


@asynccontextmanager
async def _live(ward: Scene, bed: Bed) -> AsyncIterator[Device]:
    """The bed's device, which sends until the end: that there is no data is one alarm more, and active."""
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device, asyncio.TaskGroup() as playing:
        task = playing.create_task(play(device, simulated(patient), Pacer()))
        yield device
        task.cancel()


async def _raise(device: Device, name: str, severity: AlarmSeverity = AlarmSeverity.HIGH) -> None:
    text = f"VENT TACHY {name} > 100"
    await device.raise_alarm(name, kind="vent tachy", text=text, severity=severity, value=182, unit="bpm")


async def _steps(ward: Scene, page: Page, step: str) -> list[dict[str, Any]]:
    """The steps of this kind that are stored of the page's first alarm, once there are any."""
    (alarm, *_) = await page.evaluate("window.vital.alarms()")
    async with asyncio.timeout(DEADLINE_MS / 1000):
        while not (steps := [one for one in ward.journal(alarm["key"]) if one["step"] == step]):
            await page.evaluate("new Promise((done) => requestAnimationFrame(done))")
    return steps


async def test_a_device_s_alarm_is_drawn_stored_as_displayed_acknowledged_and_taken_away(ward: Scene) -> None:
    ward.allow(*MAY)
    bed = ward.admit("monitor")
    page = await ward.open()
    tile = _tile(page, bed)
    async with _live(ward, bed) as device:
        await _raise(device, "d1")
        await expect(tile.locator(".what")).to_have_text("VENT TACHY d1 > 100")
        await expect(page).to_have_title("(!) VENT TACHY bed 01 - VITAL")
        assert [one["hidden"] for one in await _steps(ward, page, "displayed")] == [False]
        await tile.focus()
        await page.keyboard.press("a")
        await expect(tile).to_have_attribute("data-standing", "acknowledged")
        await expect(tile.locator(".since")).to_have_text(re.compile(rf"{ward.user}$"))
        await device.end_alarm("d1")
        await expect(tile.locator(".what")).not_to_have_text("VENT TACHY d1 > 100")
        await expect(page.locator(".sum-n[data-severity=high]")).to_be_hidden()


async def test_a_tachycardia_of_the_samples_is_raised_and_its_strip_can_be_looked_at(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/")
    patient = Simulator("vt", rate_hz=RATE_HZ, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, simulated(patient, 20.0), Pacer(SPEED))
        row = page.locator(".alarm-row").filter(has_text="High")
        await expect(row.locator(".what")).to_have_text(re.compile(r"TACHY \d+ > \d+$"))
        await expect(row.locator(".measured")).to_have_text(
            re.compile(
                r"^value [\d.]+ bpm · limit \d+ bpm · condition delay [\d.]+\ss, signal delay [\d.]+\ss$"
            )
        )
        await expect(page.locator(".hrcard")).to_have_attribute("data-alarm", "high")
        await row.locator(".look").click()
        await expect(page.locator('[data-part="strip-about"]')).to_contain_text("· II ·")
        assert await traced(page, ".strip") > 100


async def test_two_pages_of_two_wards_see_only_their_own_alarms_and_who_sees_both_both(ward: Scene) -> None:
    here, there = ward.admit("monitor"), ward.admit("annexed", ward=ward.annex)
    one = await ward.open(user=ward.colleague(ward.ward))
    other = await ward.open(user=ward.colleague(ward.annex))
    both = await ward.open(f"/patients/{here.stream}/")
    async with ward.device(here) as near, ward.device(there) as far:
        await _raise(near, "near")
        await _raise(far, "far")
        await expect(one.locator(".sum-n[data-severity=high] .beds")).to_have_text(
            "Bed 01  VENT TACHY near > 100"
        )
        await expect(other.locator(".sum-n[data-severity=high] .beds")).to_have_text(
            "Bed 01  VENT TACHY far > 100"
        )
        await expect(both.locator(".sum-n[data-severity=high] b")).to_have_text("2")
        # On a patient's page, what is wrong with others is said first.
        await expect(both.locator(".sum-n[data-severity=high] .beds")).to_have_text(
            f"Bed 01  VENT TACHY far > 100  {ward.annex}"
        )
        await expect(both.locator(".sum-n[data-severity=high]")).to_have_attribute(
            "href", f"/patients/{there.stream}/"
        )
        assert "far" not in await one.content()
        assert "near" not in await other.locator("main").inner_text()


async def test_a_pause_is_the_server_s_and_a_new_alarm_breaks_it(ward: Scene) -> None:
    ward.allow(*MAY)
    bed = ward.admit("monitor")
    page = await ward.open()
    left = page.locator(".audio .left")
    async with _live(ward, bed) as device:
        await _raise(device, "d1", AlarmSeverity.MEDIUM)
        await expect(_tile(page, bed).locator(".what")).to_have_text("VENT TACHY d1 > 100")
        await page.keyboard.press("p")
        await expect(left).to_have_text(re.compile(r"^(2:00|1:5\d)$"))
        await page.reload()
        await expect(left).to_have_text(re.compile(r"^1:[3-5]\d$"))
        await _raise(device, "d2", AlarmSeverity.MEDIUM)
        await expect(left).to_have_text("")


async def test_alarms_of_a_patient_are_switched_off_and_on_again(ward: Scene) -> None:
    ward.allow(*MAY)
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/")
    button = page.locator('[data-part="alarm-switch"]')
    async with _live(ward, bed):
        await button.click()
        await button.click()
        await expect(page.locator(".alarm-panel .alarms-off")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(_tile(page, bed).locator(".alarms-off")).to_be_visible()
        await page.keyboard.press("Enter")
        await button.click()
        await expect(page.locator(".alarm-panel .alarms-off")).to_be_hidden()


async def test_who_may_not_acknowledge_is_given_no_button(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open(f"/patients/{bed.stream}/")
    async with _live(ward, bed) as device:
        await _raise(device, "d1")
        await expect(page.locator(".alarm-row .what").first).to_have_text("VENT TACHY d1 > 100")
        await expect(page.locator(".alarm-row .acknowledge").first).to_be_hidden()
        await page.keyboard.press("a")
        await expect(page.locator(".said")).to_have_text("Not allowed for you")
