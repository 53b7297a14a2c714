"""A changed setting governs the running stream within two seconds, and no socket is cut for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.peers import DEADLINE_S
from tests.e2e.shell import Shell
from tests.e2e.steady import Steady, steady
from tests.e2e.web import Browser
from tests.servers import Server, StartServer

pytestmark = pytest.mark.server

WITHIN_S = 2.5
SNAPSHOT_S = 1.0
PASSWORD = "a long enough one"


@dataclass(frozen=True, slots=True)
class Place:
    """A server that stores its figures every second, and a patient."""

    server: Server
    shell: Shell
    bed: dict[str, str]
    token: str

    @property
    def group(self) -> str:
        """The patient's group."""
        return f"ecg.{self.bed['stream']}"

    async def rows(self) -> list[dict[str, Any]]:
        """The group's snapshots so far."""
        rows: list[dict[str, Any]] = (await self.shell.do("snapshots", self.group)).result
        return rows

    async def until(self, others: Steady, **values: Any) -> float:
        """Wait for a snapshot with these values, the stream going on; when the first such was taken."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                rows = await self.rows()
                found = [row for row in rows if values.items() <= row.items()]
                if found and found[-1] is rows[-1]:
                    return float(found[0]["at"])
                await others.goes_on(1)

    async def until_told(self, others: Steady, *, version: int, refused: int | None) -> None:
        """Wait until the process tells that it runs this version, and refuses that."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                (told,) = (await self.shell.do("told_by_processes")).result
                if (told["version"], told["refused"]) == (version, refused):
                    return
                await others.goes_on(1)


@pytest.fixture(scope="module")
def place(module_daphne: StartServer) -> Iterator[Place]:
    server = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "1"})
    with Shell(server) as shell:
        shell.run("employ", "boss", password=PASSWORD, is_staff=True, is_superuser=True)
        bed = shell.run("admit", "monitor")
        yield Place(server, shell, bed, shell.run("employ", "nurse", "Ward a"))


async def test_by_another_process(place: Place) -> None:
    async with steady(place.server, place.bed["stream"], place.bed["token"], place.token) as others:
        await place.until(others, current_level=6, viewers=1)
        done = await place.shell.do("set_profile", compression_level=1, high_watermark=0.7)
        seen_at = await place.until(others, current_level=1, high_watermark=0.7)
        assert seen_at - done.at < WITHIN_S + SNAPSHOT_S


async def test_override_of_one_group_by_the_admin(place: Place) -> None:
    boss = Browser(place.server)
    await boss.sign_in("boss", PASSWORD)
    async with steady(place.server, place.bed["stream"], place.bed["token"], place.token) as others:
        form = await boss.form("/admin/streaming/profile/add/", "compression_level")
        form |= {"group": [place.group], "compression_level": ["9"], "max_buffer_size": ["500"]}
        await boss.post("/admin/streaming/profile/add/", form)
        done_at = time.monotonic()
        seen_at = await place.until(others, current_level=9)
        assert seen_at - done_at < WITHIN_S + SNAPSHOT_S
        rows = await place.rows()
        versions = [row["detail"]["settings_version"] for row in rows]
        assert versions == sorted(versions)
        assert rows[-1]["sent_messages"] > rows[0]["sent_messages"]
        assert rows[-1]["bytes_sent"] > rows[0]["bytes_sent"]


async def test_override_of_a_ward_and_row_that_is_not_usable(place: Place) -> None:
    async with steady(place.server, place.bed["stream"], place.bed["token"], place.token) as others:
        good = (
            await place.shell.do("set_profile", "ward:ward-a", low_watermark=0.3, high_watermark=0.65)
        ).result
        await place.until(others, high_watermark=0.65)
        await place.until_told(others, version=good, refused=None)
        bad = (
            await place.shell.do("spoil_profile", "ward:ward-a", high_watermark=None, critical_watermark=0.5)
        ).result
        await place.until_told(others, version=good, refused=bad)
        await others.goes_on(20)
        assert (await place.rows())[-1]["high_watermark"] == 0.65
        mended = (
            await place.shell.do("spoil_profile", "ward:ward-a", critical_watermark=None, high_watermark=0.6)
        ).result
        await place.until(others, high_watermark=0.6)
        await place.until_told(others, version=mended, refused=None)
