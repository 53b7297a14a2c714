"""What is heard of alarms, and what the page says where nothing can be heard."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.page.desk import Desk, now_ms, second
from tests.page.scene import DEADLINE_MS, Scene
from tests.page.speaker import SPEAKER

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)

HIGH, MEDIUM, TECHNICAL = 587, 440, 294


async def _open(ward: Scene, desk: Desk, *, allowed: bool = True) -> Page:
    page = await ward.open(answer=desk)
    await page.add_init_script(SPEAKER)
    await page.reload()
    await page.wait_for_function("() => window.vital?.stats().phase === 'online'")
    await page.evaluate("(allowed) => { window.isAllowed = allowed; }", allowed)
    if allowed:
        await page.keyboard.press("Shift")
        await expect(page.locator(".audio")).to_have_attribute("data-state", "on")
    return page


async def _hear(page: Page, pitch: int, count: int) -> None:
    await page.wait_for_function(
        "([pitch, count]) => window.heard.filter((one) => one === pitch).length >= count", arg=[pitch, count]
    )


async def test_sound_that_the_browser_blocks_is_said_and_enabled_by_a_click(ward: Scene) -> None:
    desk = Desk()
    page = await _open(ward, desk, allowed=False)
    audio = page.locator(".audio")
    await expect(audio).to_have_attribute("data-state", "blocked")
    await expect(audio).to_contain_text("Sound blocked – click to enable")
    desk.alarm("a1")
    await desk.displayed("a1")
    assert await page.evaluate("window.heard") == []
    await page.evaluate("window.isAllowed = true")
    await audio.click()
    await expect(audio).to_have_attribute("data-state", "on")
    await _hear(page, HIGH, 10)
    assert desk.said("audio_pause") == [], "the click that enables is no press of pause"
    await audio.click()
    await desk.until(lambda: desk.said("audio_pause") == [{"seconds": 120}])


async def test_the_gravest_alarm_that_nobody_has_seen_to_is_heard(ward: Scene) -> None:
    desk = Desk()
    page = await _open(ward, desk)
    async with desk.live(1, 2):
        desk.alarm("b1", **second())
        await _hear(page, MEDIUM, 3)
        desk.alarm("a1")
        await _hear(page, HIGH, 20)
        heard = await page.evaluate("window.heard")
        graver = heard.index(HIGH)
        # Of the medium one more than a burst, where the machine took 10 s for the high one.
        bursts = graver // 4
        assert heard[:graver] == [MEDIUM, MEDIUM, MEDIUM, "cut"] * bursts
        assert bursts >= 1
        assert MEDIUM not in heard[graver:]
        desk.alarm("a1", state="acknowledged", acknowledged_ms=now_ms())
        await _hear(page, MEDIUM, 6)
        desk.alarm("b1", state="acknowledged", acknowledged_ms=now_ms())
        await page.wait_for_function("() => window.heard[window.heard.length - 1] === 'cut'")


async def test_a_pause_is_counted_down_and_a_new_alarm_breaks_it_at_once(ward: Scene) -> None:
    desk = Desk()
    page = await _open(ward, desk)
    desk.alarm("b1", **second())
    await _hear(page, MEDIUM, 3)
    await page.keyboard.press("p")
    await desk.until(lambda: desk.said("audio_pause") == [{"seconds": 120}])
    desk.audio(120)
    audio = page.locator(".audio")
    await expect(audio).to_have_attribute("data-state", "paused")
    await expect(audio.locator(".left")).to_have_text(re.compile(r"^1:5\d$"))
    await expect(page.locator(".tile").nth(1)).to_have_attribute("data-standing", "active")
    await page.wait_for_function("() => window.heard[window.heard.length - 1] === 'cut'")
    desk.alarm("low", severity="low", text="BATTERY 12 < 15 %", latching=False)
    await desk.displayed("low")
    await expect(audio).to_have_attribute("data-state", "paused")
    desk.alarm("a1")
    await _hear(page, HIGH, 10)
    await expect(audio).to_have_attribute("data-state", "on")
    desk.audio(100)
    await expect(audio).to_have_attribute("data-state", "paused")
    await page.keyboard.press("p")
    await desk.until(lambda: desk.said("audio_pause")[-1] == {"seconds": 0})
    desk.audio(None)
    await expect(audio).to_have_attribute("data-state", "on")


async def test_a_lost_connection_is_heard_through_a_pause_and_can_be_paused_here(ward: Scene) -> None:
    desk = Desk(0)
    page = await _open(ward, desk)
    await page.keyboard.press("p")
    desk.audio(120)
    await expect(page.locator(".audio")).to_have_attribute("data-state", "paused")
    desk.answers = False
    await desk.close(1012)
    await _hear(page, TECHNICAL, 1)
    await page.keyboard.press("p")
    await expect(page.locator(".audio")).to_have_attribute("data-state", "paused")
    assert desk.said("audio_pause") == [{"seconds": 120}], "the second pause is this page's own"


async def test_each_sound_can_be_listened_to(ward: Scene) -> None:
    desk = Desk(0)
    page = await _open(ward, desk)
    await page.keyboard.press("?")
    await page.click('.help [data-sound="medium"]')
    await expect(page.locator(".help output")).to_have_text("You should hear 3 tones")
    assert await page.evaluate("window.heard") == [MEDIUM] * 3


async def test_a_page_without_a_sound_device_says_so(ward: Scene) -> None:
    page = await ward.open(answer=Desk())
    await page.add_init_script("delete window.AudioContext;")
    await page.reload()
    await page.wait_for_function("() => window.vital?.stats().phase === 'online'")
    await expect(page.locator(".audio")).to_contain_text("No sound device")
    await page.keyboard.press("?")
    await page.click('.help [data-sound="high"]')
    await expect(page.locator(".help output")).to_have_text("No sound device")
