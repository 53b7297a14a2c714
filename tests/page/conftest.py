"""One server for all tests of a module; a scene of its own for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.browser import Chromium
from tests.page.scene import Scene, scene
from tests.servers import Server, StartServer


@pytest.fixture(scope="module")
def page_server(module_daphne: StartServer) -> Server:
    """A Daphne that the module's tests share."""
    return module_daphne()


@pytest.fixture
async def ward(page_server: Server, chromium: Chromium) -> AsyncIterator[Scene]:
    """A ward, somebody who may see it, and a browser that must not complain."""
    async with scene(page_server, chromium) as made:
        yield made
