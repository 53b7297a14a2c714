"""Takes the README's picture: the demo's ward, once its traces are full.

`make test` installs what it needs; then, in the project's directory: `.venv/bin/python -m docs.screenshot`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser import chromium
from tests.servers import ROOT, DaphneServer, migrated

PICTURE = ROOT / "docs" / "ward.png"
BEDS = 8
FILLED = f"""() => {{
  const streams = window.vital?.streams() ?? [];
  return streams.length === {BEDS} && streams.every((stream) => stream.stop - stream.first > 3600);
}}"""
"""Ten seconds at the highest of the demo's rates, 360 Hz: more than a tile shows."""


def main() -> None:
    """Start a server with a database of its own, feed it, and take the picture."""
    with (
        tempfile.TemporaryDirectory() as directory,
        DaphneServer(migrated(Path(directory) / "var")) as server,
    ):
        login = json.loads(server.manage("setup_demo", "--json"))
        feed = subprocess.Popen(
            [sys.executable, "manage.py", "feed_demo", "--url", server.ws_url],
            cwd=ROOT,
            env=server.environment(),
            stdout=subprocess.DEVNULL,
        )
        try:
            asyncio.run(take(server.url, login["username"], login["password"]))
        finally:
            feed.terminate()
            feed.wait(10)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KiB")


async def take(url: str, username: str, password: str) -> None:
    """Sign in, wait until every bed has filled its trace, and store what is seen."""
    async with chromium() as browser:
        watched = await browser.page(viewport={"width": 1440, "height": 1072})
        page = watched.page
        await page.goto(url)
        await page.fill("#id_username", username)
        await page.fill("#id_password", password)
        await page.click("button[type=submit]")
        await page.wait_for_function(FILLED, timeout=60_000)
        await page.screenshot(path=PICTURE)
        assert not watched.complaints, watched.complaints


if __name__ == "__main__":
    main()
