"""What the page says in each language: every text that is used, no other, and none lost what is filled in."""

from __future__ import annotations

import gettext
import re

import pytest
from django.test import Client

from streaming.conf import NOTICE
from tests.page_words import SCRIPTS, catalogue, places, used
from tests.servers import ROOT

GERMAN = SCRIPTS / "words" / "de.js"
TEMPLATES = [path for path in sorted((ROOT / "templates").rglob("*.html")) if "admin" not in path.parts]
_SIMPLE = re.compile(r"""\{% translate (?:"([^"]+)"|'([^']+)') %\}""")
_BLOCK = re.compile(r"\{% blocktranslate.*?%\}(.*?)\{% endblocktranslate %\}", re.DOTALL)
_TEXT = re.compile(r">([^<>]*[A-Za-z]{2}[^<>]*)<")
_KEYS = {"Enter", "Home", "Esc", "PgUp", "PgDn"}
_SAME = _KEYS | {"VITAL", "RTT", "ms", "kB/s", "KiB", "64 kB/s", "8 kB/s", "2 kB/s", "· VITAL"}
"""What is the same in every language."""


def test_every_text_of_the_modules_is_in_german_and_no_other() -> None:
    says, german = used(), catalogue(GERMAN)
    assert len(says.plain) > 150
    assert (says.plain | says.counted) - set(german) == set(), "not in static/js/words/de.js"
    assert set(german) - (says.plain | says.counted) == set(), "nobody says it"
    assert {key for key, text in german.items() if isinstance(text, tuple)} == set(says.counted)


def test_no_unit_of_a_rate_is_written_as_it_is() -> None:
    raw = [path.name for path in SCRIPTS.rglob("*.js") if re.search(r"\} bpm\b", path.read_text())]
    assert raw == [], 'write t("bpm")'


def test_no_translation_is_empty_or_has_lost_what_is_filled_in() -> None:
    for key, text in catalogue(GERMAN).items():
        for form in text if isinstance(text, tuple) else (text,):
            assert form
            assert places(form) == places(key), key


def test_every_text_of_the_templates_is_in_german() -> None:
    with (ROOT / "locale/de/LC_MESSAGES/django.mo").open("rb") as file:
        german = gettext.GNUTranslations(file)
    found = {NOTICE}
    for path in TEMPLATES:
        text = path.read_text()
        found |= {one or other for one, other in _SIMPLE.findall(text)}
        found |= {re.sub(r"\{\{ (\w+) \}\}", r"%(\1)s", block) for block in _BLOCK.findall(text)}
    assert len(found) > 100
    assert {text for text in found if german._catalog.get(text, "") == ""} == set()  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_text_that_nobody_could_translate(path: str) -> None:
    text = _BLOCK.sub("", ROOT.joinpath(path).read_text())
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", text)
    bare = {re.sub(r"^\d+ ", "", found.strip()) for found in _TEXT.findall(text)}
    assert {word for word in bare if re.search(r"[a-z]{2}", word)} <= _SAME


@pytest.mark.django_db
def test_the_browser_asks_for_a_language_and_the_user_chooses_one(client: Client) -> None:
    assert '<html lang="en"' in client.get("/accounts/login/").content.decode()
    page = client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="de-AT,en;q=0.5")
    assert '<html lang="de"' in page.content.decode()
    assert "Benutzername" in page.content.decode()
    assert page["Content-Language"] == "de"
    chosen = client.post("/language/", {"language": "en", "next": "/accounts/login/"})
    assert (chosen.status_code, chosen["Location"]) == (302, "/accounts/login/")
    assert chosen.cookies["vital-language"]["httponly"]
    page = client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="de")
    assert '<html lang="en"' in page.content.decode()


@pytest.mark.django_db
def test_a_choice_of_language_leads_to_no_other_site(client: Client) -> None:
    away = client.post("/language/", {"language": "de", "next": "https://elsewhere.example/"})
    assert away["Location"] == "/"


@pytest.mark.django_db
def test_the_admin_is_english(admin_client: Client) -> None:
    page = admin_client.get("/admin/", HTTP_ACCEPT_LANGUAGE="de").content.decode()
    assert '<html lang="en-us"' in page or '<html lang="en"' in page
    assert "Administration" in page
