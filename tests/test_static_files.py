"""Static files as they are served: the same programs as their sources, kept for ever, and told of at once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.template import Context, Engine
from django.templatetags.static import static
from django.test import AsyncClient, Client
from pytest_django import Settings

from tests.conftest import unavailable
from tests.servers import ROOT
from vital.lean import lean
from vital.modules import imports, needed_by
from vital.static_files import StaticFiles, static_files

SOURCES = ROOT / "static"
PARSER = ROOT / "tests" / "js" / "syntax.mjs"
Parse = Callable[[Path], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def parse() -> Parse:
    """What TypeScript's parser makes of all modules below a folder."""
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "typescript").is_dir():
        unavailable("no node, or no TypeScript: npm ci")

    def parsed(folder: Path) -> dict[str, dict[str, Any]]:
        done = subprocess.run([node, PARSER, folder], capture_output=True, text=True, check=True, timeout=120)
        told: dict[str, dict[str, Any]] = json.loads(done.stdout)
        return told

    return parsed


def test_every_module_has_the_tokens_of_its_source_in_their_lines(parse: Parse, tmp_path: Path) -> None:
    for name, content in static_files().contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    sources = parse(SOURCES / "js")
    assert len(sources) > 100
    assert parse(tmp_path / "js") == sources


def test_every_import_is_known_without_a_parser(parse: Parse) -> None:
    for name, told in parse(SOURCES / "js").items():
        source = (SOURCES / "js" / name).read_text()
        expected = [path for path in told["imports"] if path.startswith(".")]
        found = [(SOURCES / "js" / path).resolve() for path in imports(name, source)]
        assert found == [((SOURCES / "js" / name).parent / path).resolve() for path in expected], name


def test_styles_differ_from_their_sources_by_comments_alone() -> None:
    token = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|/\*.*?\*/|\s+""", re.DOTALL)
    for path in SOURCES.glob("css/*.css"):
        served = static_files().contents[path.relative_to(SOURCES).as_posix()].decode()
        source = path.read_text()
        assert token.sub(r"\1", served) == token.sub(r"\1", source), path
        assert served.count("\n") == source.count("\n"), path


def test_comments_that_fill_lines_and_indentation_go_and_lines_stay() -> None:
    source = "// one\nlet a = 1; // kept\n  /** of\n   * b */\n/** kept */ let b;\n/* x */\nlet c = a /b/ 1;"
    bare = "\nlet a = 1; // kept\n\n\n/** kept */ let b;\n\nlet c = a /b/ 1;"
    assert lean(source, ".js") == bare
    assert lean("/* a\n*/\n  a { b: url(//c); }\n//d\n", ".css") == "\n\na { b: url(//c); }\n//d\n"


def test_modules_come_once_and_in_the_order_of_their_imports() -> None:
    sources = {
        "a/main.js": 'import { b } from "./b.js";\nimport "../c.js";\nconst x = import("./late.js");\n',
        "a/b.js": 'import {\n  c,\n} from "../c.js";\nexport { d as e } from "./d.js";\n',
        "c.js": 'import "./a/b.js";\n',
        "a/d.js": 'export const from = "./nothing.js";\n',
    }
    assert needed_by(["a/main.js"], sources) == ["a/main.js", "a/b.js", "c.js", "a/d.js"]


def test_version_tells_content_and_names_apart(tmp_path: Path) -> None:
    versions: set[str] = set()
    for name, content in (("a.js", "1"), ("a.js", "2"), ("b.js", "2"), ("a.js1", "")):
        folder = tmp_path / str(len(versions))
        folder.mkdir()
        (folder / name).write_text(content)
        versions.add(StaticFiles.of([folder]).version)
    assert len(versions) == 4


def test_vendored_files_are_served_as_they_are() -> None:
    files = {name: text for name, text in static_files().contents.items() if name.startswith("vendor/")}
    assert files
    assert files == {name: (SOURCES / name).read_bytes() for name in files}


def test_of_two_folders_the_first_counts(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    assert StaticFiles.of([tmp_path / "first", tmp_path / "second"]).contents == {"a.txt": b"first"}


def test_a_version_is_kept_for_ever(client: Client) -> None:
    url = static("js/main.js")
    assert url == f"/static/{static_files().version}/js/main.js"
    response = client.get(url)
    assert response.content == static_files().contents["js/main.js"]
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Cache-Control"] == "max-age=315360000, public, immutable"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["X-Content-Type-Options"] == "nosniff"
    again = client.get(url, headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", response["ETag"])
    assert client.head(url).status_code == 200
    assert client.post(url).status_code == 405
    assert client.get("/static/0000000000/js/main.js").status_code == 404


async def test_it_is_answered_without_a_thread_as_well(async_client: AsyncClient) -> None:
    response = await async_client.get(static("icons.svg"))
    assert response.content == (SOURCES / "icons.svg").read_bytes()
    assert response["Content-Type"] == "image/svg+xml"


def test_sources_are_at_hand_without_a_version(client: Client) -> None:
    response = client.get("/static/js/main.js")
    assert b"".join(response.streaming_content) == (SOURCES / "js/main.js").read_bytes()  # type: ignore[attr-defined]
    assert response["Cache-Control"] == "max-age=0, public"


def test_with_debug_the_page_loads_the_sources(settings: Settings) -> None:
    settings.DEBUG = True
    assert static("js/main.js") == "/static/js/main.js"


def test_what_others_brought_has_no_version() -> None:
    assert static("admin/css/base.css") == "/static/admin/css/base.css"


def test_page_tells_of_every_module_that_it_needs_at_once() -> None:
    template = Engine.get_default().from_string('{% load modules %}{% modulepreload "js/main.js" %}')
    told = re.findall(r'<link rel="modulepreload" href="([^"]+)">', template.render(Context()))
    assert told == [static(name) for name in static_files().modules_of("js/main.js")]
    assert told[0] == static("js/main.js")
    assert len(told) > 50
    template = Engine.get_default().from_string(
        '{% load modules %}{% modulepreload "js/main.js" "js/ui/patient.js" %}'
    )
    beside = re.findall(r'href="([^"]+)"', template.render(Context()))
    assert set(beside) > set(told)
    assert len(set(beside)) == len(beside)
