"""What the page does when its connection breaks, and what it says about it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from streaming.client import Pacer
from streaming.client.playback import play, simulated, simulated_leads
from streaming.core.messages import bye
from streaming.ecg.simulator import Simulator
from streaming.exceptions import RETRY_AFTER_MS, CloseCode
from tests.page.scene import DEADLINE_MS, RATE_HZ, Scene, stop_of

pytestmark = [pytest.mark.server, pytest.mark.browser]

expect.set_options(timeout=DEADLINE_MS)


async def _cut(ward: Scene, code: int) -> tuple[list[WebSocketRoute], Page]:
    """A page whose first socket is closed with `code` once it is online; its later sockets are its own."""
    sockets: list[WebSocketRoute] = []
    page = await ward.open()

    def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        server = socket.connect_to_server()
        if len(sockets) > 1:
            return

        async def pass_on(message: str | bytes) -> None:
            socket.send(message)
            if isinstance(message, str) and "roster" in message:
                await socket.close(code=code, reason="test")

        server.on_message(pass_on)

    await page.route_web_socket("**/ws/viewer/", relay)
    await page.reload()
    return sockets, page


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (4401, "You are signed out"),
        (4403, "You may not view this ward"),
        (4400, "This page and the server do not understand each other"),
    ],
)
async def test_a_final_code_ends_it_and_says_why(ward: Scene, code: int, title: str) -> None:
    sockets, page = await _cut(ward, code)
    await expect(page.locator("h1")).to_have_text(title)
    assert len(sockets) == 1


async def test_a_lost_connection_is_told_and_comes_back(ward: Scene) -> None:
    bed = ward.admit("monitor")
    sockets, page = await _cut(ward, 1011)
    await page.wait_for_function("() => window.vital.stats().connections === 2")
    await expect(page.locator(".offline")).to_be_hidden()
    await expect(page.locator(f'[data-stream="{bed.stream}"]')).to_be_visible()
    assert len(sockets) >= 2


async def test_a_server_that_never_answered_is_told_with_what_to_do(ward: Scene) -> None:
    async def refuse(socket: WebSocketRoute) -> None:
        await socket.close(code=1011)

    page = await ward.open()
    await page.route_web_socket("**/ws/viewer/", refuse)
    await page.reload()
    await expect(page.locator(".outage")).to_contain_text("No connection")
    await expect(page.locator("[data-action=retry]")).to_be_visible()
    await expect(page.locator(".notice .scale")).to_have_text("")


async def test_whom_an_operator_has_cut_says_so_and_may_try_at_once(ward: Scene) -> None:
    sockets: list[WebSocketRoute] = []
    page = await ward.open()

    async def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        server = socket.connect_to_server()
        if len(sockets) > 1:
            return

        async def pass_on(message: str | bytes) -> None:
            socket.send(message)
            if isinstance(message, str) and "roster" in message:
                reason = "cut by an operator: changes its network"
                socket.send(bye(CloseCode.CUT, reason, retry_after_ms=RETRY_AFTER_MS[CloseCode.CUT]))
                await socket.close(code=CloseCode.CUT)

        server.on_message(pass_on)

    await page.route_web_socket("**/ws/viewer/", relay)
    await page.reload()
    await expect(page.locator(".outage")).to_contain_text("Cut by an operator")
    await expect(page.locator(".attempt")).to_contain_text(
        re.compile(r"try 1 in [23]\d s: changes its network")
    )
    assert len(sockets) == 1
    await page.set_viewport_size({"width": 390, "height": 800})
    button = await page.locator("[data-action=retry]").bounding_box()
    assert button is not None
    assert button["x"] + button["width"] <= 390
    await page.locator("[data-action=retry]").click()
    await page.wait_for_function("() => window.vital.stats().connections === 2")
    await expect(page.locator(".offline")).to_be_hidden()


async def test_the_network_panel_shows_no_figure_of_a_connection_that_is_gone(ward: Scene) -> None:
    bed = ward.admit("monitor")
    page = await ward.open()
    sockets: list[WebSocketRoute] = []

    async def relay(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) == 1:
            socket.connect_to_server()
        else:
            await socket.close(code=1012, reason="test")

    await page.route_web_socket("**/ws/viewer/", relay)
    await page.goto(f"{ward.server.url}/patients/{bed.stream}/")
    panel = page.locator(".network")
    patient = Simulator("sinus", rate_hz=RATE_HZ, seed=1)
    async with ward.device(bed, signals=simulated_leads(patient)) as device:
        await play(device, simulated(patient, 2.0), Pacer())
        await stop_of(page, bed.stream, round(RATE_HZ))
        await expect(panel.locator('[data-part="rendition"]')).to_have_attribute("data-level", "4")
        await expect(panel.locator('[data-part="goodput"]')).not_to_have_text("--")
        await expect(panel.locator('[data-part="spark-top"]')).not_to_have_text("--")
        await sockets[0].close(code=1012, reason="test")
        await expect(panel.locator('[data-part="rendition"]')).to_have_attribute("data-level", "0")
    await expect(panel.locator('[data-part="rendition-word"]')).to_have_text("No connection")
    await expect(panel.locator('[data-part="condition"]')).to_contain_text("No figures until it is back.")
    for figure in ("rtt", "goodput", "window", "dropped"):
        await expect(panel.locator(f'[data-part="{figure}"]')).to_have_text("--")
    await expect(panel.locator(".queues span")).to_have_text(["--"] * 5)
    await expect(page.locator(".conn small")).to_have_text("")
    # The line of round trips ends before its right edge, which is now.
    line = await panel.locator('[data-part="spark"]').get_attribute("d")
    assert line is not None
    assert "59 " not in line
