"""Takes a picture of every page of the admin, on a desk and on a phone, by day and by night.

`make test` installs what it needs; then, in the project's directory: `.venv/bin/python -m docs.admin_pictures
DIRECTORY`. The pictures are for looking at, and not kept.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from tests.browser import chromium
from tests.e2e import admin_pages
from tests.servers import DaphneServer, Server, migrated


def main(pictures: Path) -> None:
    """Start a server with a row of everything, and look at all of it."""
    pictures.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        DaphneServer(migrated(Path(directory) / "var")) as server,
    ):
        server.python(admin_pages.PREPARE)
        asyncio.run(take(server, pictures))


async def take(server: Server, pictures: Path) -> None:
    """Whole pages, named by their addresses, widths and themes."""
    async with chromium() as browser:
        page = (await browser.page()).page
        await admin_pages.sign_in(page, server)
        for path in tqdm(await admin_pages.found(page, server), "pages", file=sys.stderr):
            name = re.sub(r"\W+", "-", path.removeprefix("/admin/")).strip("-") or "index"
            await page.goto(server.url + path)
            for width, theme in admin_pages.LOOKS:
                await admin_pages.look(page, width, theme)
                await page.screenshot(path=pictures / f"{name}-{width}-{theme}.png", full_page=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
