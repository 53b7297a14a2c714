"""The pages of alerts in a real browser, by keyboard."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser import Chromium
from tests.servers import Server, StartServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

PASSWORD = "only-for-this-test"
PREPARE = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from monitoring import alert_store
from monitoring.alert_engine import Why
from monitoring.alert_store import Entry
from monitoring.models_alerts import AlertRule, NotificationChannel
User.objects.create_superuser("boss", "", {PASSWORD!r})
now = timezone.now()
NotificationChannel.objects.create(name="On call", address="on-call@example.org")
for index, row in enumerate(AlertRule.objects.all()):
    at = now - timedelta(minutes=7 * index)
    over = dict(resolved_at=at + timedelta(minutes=3), why=Why.NORMAL) if index % 2 else {{}}
    group = "" if row.rule().watched.of_process else "ecg.k3xmq7rtw2ab"
    alert_store.write([Entry(f"{{index:016x}}", row.rule(), group, at, at, 0.02, 0.04, **over)], "5f0c9a1e")
"""


@pytest.fixture(scope="module")
def server(module_daphne: StartServer) -> Server:
    """A server with alerts of every rule; those of a process that is gone, until the first sweep."""
    one = module_daphne(env={"VITAL_SNAPSHOT_INTERVAL_S": "3600"})
    one.python(PREPARE)
    return one


async def sign_in(page: Page, server: Server) -> None:
    await page.goto(f"{server.url}/accounts/login/?next=/admin/")
    await page.fill("#id_username", "boss")
    await page.fill("#id_password", PASSWORD)
    await page.click("button[type=submit]")
    await page.wait_for_url("**/admin/")


async def test_rule_is_made_and_a_test_sent_by_keyboard(server: Server, chromium: Chromium) -> None:
    watched = await chromium.page(viewport={"width": 1280, "height": 900})
    page = watched.page
    await sign_in(page, server)
    await (
        page.get_by_role("link", name="See all")
        .or_(page.get_by_role("link", name="more; see all"))
        .wait_for()
    )
    await page.goto(f"{server.url}/admin/monitoring/alertrule/add/")
    await page.get_by_label("Name").press_sequentially("by keyboard")
    await page.get_by_label("Metric").select_option(label="loss (share, 0 to 1)")
    await page.get_by_label("Value").press_sequentially("0.5")
    await page.keyboard.press("Enter")
    await page.get_by_text("In force in every process within two seconds.", exact=True).wait_for()
    await page.goto(f"{server.url}/admin/monitoring/notificationchannel/1/change/")
    await page.get_by_role("link", name="Send a test").press("Enter")
    await page.get_by_role("button", name="Send a test to On call").press("Enter")
    await page.get_by_role("link", name="what became of it").press("Enter")
    await page.get_by_text("given up").or_(page.get_by_text("waiting")).first.wait_for()
    assert watched.complaints == []
