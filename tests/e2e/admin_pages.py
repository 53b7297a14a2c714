"""Every page of the admin, found by following its links as somebody would who may do everything."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Page

from tests.servers import Server

PASSWORD = "only-for-this-test"
NAMED = "the.chief.of.operations@hospital.example.org"
PREPARE = f"""
from dataclasses import replace
from datetime import timedelta
from django.contrib.auth.models import Group, User
from django.utils import timezone
from monitoring import alert_store
from monitoring.alert_engine import Why
from monitoring.alert_store import Entry
from monitoring.models import MetricsSnapshot
from monitoring.models_alerts import AlertRule, NotificationChannel
from streaming.core.streams import Source
from streaming.models import Profile, Ward
from streaming.store import chain, feeds, journal_rows, tokens
from tests.monitoring.some_snapshots import snapshots
from tests.store.journals import closed, facts_of
boss = User.objects.create_superuser("boss", {NAMED!r}, {PASSWORD!r})
User.objects.filter(pk=boss.pk).update(first_name="Maximiliane", last_name="von Hohenstein")
feed = feeds.ensure_feed(
    "Intensive care and recovery, building 4", "Jane Doe-Example",
    "bedside monitor of the second floor, number 17", Source.REPLAY,
)
ward = Ward.objects.get()
ward.groups.add(Group.objects.create(name="Intensive care nurses, night shift"))
tokens.issue_api_token(boss, "central station of the second floor, east wing", [ward], actor="user:1")
group = "ecg." + feed.stream
Profile(group=group, compression_level=9, updated_by=boss).save()
Profile(group="ward:" + ward.slug, age_high=0.5, updated_by=boss).save()
start = timezone.now() - timedelta(minutes=50)
MetricsSnapshot.objects.bulk_create(snapshots(start, 290, 10, groups=[group, "ecg.other"]))
NotificationChannel.objects.create(name="On call", address="on-call@example.org")
for index, row in enumerate(AlertRule.objects.all()):
    at = timezone.now() - timedelta(minutes=7 * index)
    over = dict(resolved_at=at + timedelta(minutes=3), why=Why.NORMAL) if index % 2 else {{}}
    about = "" if row.rule().watched.of_process else group
    alert_store.write([Entry(f"{{index:016x}}", row.rule(), about, at, at, 0.02, 0.04, **over)], "5f0c9a1e")
now_ms = 1000 * timezone.now().timestamp()
facts = facts_of("f" * 32, stream=feed.stream, ward=ward.slug)
entries = [replace(entry, at_ms=now_ms, facts=entry.facts and facts) for entry in closed("f" * 32)]
journal_rows.store([journal_rows.line_of(entry) for entry in entries], chain.new_head())
"""
"""What a server's pages are full of: one row of everything, with names that are as long as names get."""

LOOKS: list[tuple[int, Literal["light", "dark"]]] = [
    (1280, "light"),
    (1280, "dark"),
    (390, "light"),
    (390, "dark"),
]
"""Widths in pixels, a desk's and a phone's, and themes."""

_LEFT_OUT = re.compile(r"/logout/|/jsi18n/|/autocomplete/|/export|/file/|\\.csv|\\.json|/r/")
"""They sign out, or are files."""
_LINKS = "(links) => links.map((link) => link.getAttribute('href'))"


async def sign_in(page: Page, server: Server) -> None:
    """As a superuser, at the index."""
    await page.goto(f"{server.url}/accounts/login/?next=/admin/")
    await page.fill("#id_username", "boss")
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/admin/")


TOO_WIDE = """async () => {
  const root = document.documentElement;
  for (let frames = 0; frames < 10 && root.scrollWidth > root.clientWidth; frames += 1)
    await new Promise(requestAnimationFrame);
  return root.scrollWidth > root.clientWidth;
}"""
"""Whether the page is wider than its window, when charts have had frames enough to follow that."""


async def look(page: Page, width: int, theme: Literal["light", "dark"]) -> None:
    """See the page as somebody with such a screen does, whom motion disturbs."""
    await page.set_viewport_size({"width": width, "height": 900})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")


async def found(page: Page, server: Server) -> list[str]:
    """The address of one page of each kind, beginning with the index."""
    waiting, kinds, addresses = ["/admin/"], {"/admin/"}, []
    while waiting:
        path = waiting.pop(0)
        addresses.append(path)
        answer = await page.goto(server.url + path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        for link in await page.eval_on_selector_all("a[href]", _LINKS):
            address = urlsplit(link)
            whole = address.path if address.path.startswith("/") else urlsplit(page.url).path + address.path
            if not whole.startswith("/admin/") or address.netloc or _LEFT_OUT.search(whole):
                continue
            kind = _kind(whole)
            if kind not in kinds:
                kinds.add(kind)
                waiting.append(whole + (f"?{address.query}" if _needs_query(whole) else ""))
    return addresses


def _kind(path: str) -> str:
    return re.sub(r"/\d+(?=/|$)", "/1", path).replace("../", "")


def _needs_query(path: str) -> bool:
    return path.endswith(("/alarm/", "/effective/"))
