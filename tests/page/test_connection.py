"""What the page does when its connection breaks, and what it says about it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.page.scene import DEADLINE_MS, Scene

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
