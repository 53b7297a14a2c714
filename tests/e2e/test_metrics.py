"""A real scrape has every metric that the dashboard, the alert rules and the documentation speak of."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests import promql
from tests.e2e.shell import Shell
from tests.e2e.witness import RATE_HZ, numbered_device, witness
from tests.servers import ROOT, Server, StartServer

EXAMPLES = ROOT / "docs" / "examples"
METRICS = ROOT / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
OF_PROMETHEUS = {"up": frozenset({"job", "instance"})}
"""What Prometheus adds itself, and the labels that it adds to all."""
TARGET = frozenset({"job", "instance"})

Labels = Mapping[str, frozenset[str]]
"""The names of labels by the name of a sample."""


def get(server: Server, **headers: str) -> tuple[int, str, str]:
    """Status, content type and body of /metrics."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.url}/metrics", headers=named)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["Content-Type"], refusal.read().decode()


def labels_of(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, frozenset()) | sample.labels.keys()
    return found


@pytest.fixture(scope="module")
def server(module_daphne: StartServer) -> Server:
    return module_daphne(env={"VITAL_METRICS_TOKEN": "0123456789abcdef"})


@pytest.fixture(scope="module")
def scraped(server: Server) -> str:
    """A scrape of a process with a patient, a viewer, and a message that was followed to the end."""

    async def scrape() -> str:
        with Shell(server) as shell:
            bed = (await shell.do("admit", "scraped")).result
            token = (await shell.do("employ", "prometheus", "Ward a")).result
            async with (
                numbered_device(server.ws_url, bed["token"]),
                witness(server.ws_url, token, bed["stream"]) as seen,
            ):
                async with asyncio.timeout(30):
                    while True:
                        await seen.reaches((seen.next_sample or 0) + int(RATE_HZ))
                        _, _, text = await asyncio.to_thread(get, server, accept=OPENMETRICS)
                        if "vital_message_stage_seconds{" in text and "vital_group_json_saved_ratio{" in text:
                            return text

    return asyncio.run(scrape())


@pytest.fixture(scope="module")
def there(scraped: str) -> Labels:
    return labels_of(scraped)


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    return read


def queries() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard, its variables filled in, and the panel that has it."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            filled = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            yield panel["title"], filled


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every alert rule, and its name."""
    for group in yaml.safe_load((EXAMPLES / "vital-alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule


def require(expression: str, there: Labels) -> None:
    """AssertionError when it asks for a metric or a label that no scrape has."""
    found = promql.read(expression)
    assert found.selectors
    known = {**there, **OF_PROMETHEUS}
    kept: set[str] = set(TARGET)
    for selector in found.selectors:
        assert selector.name in known, f"{selector.name} is in no scrape: {expression}"
        kept |= known[selector.name]
        assert selector.labels <= known[selector.name] | TARGET, f"{selector}: {expression}"
        assert selector.is_range is selector.name.endswith("_total"), f"rates are of counters: {expression}"
    assert found.grouped <= kept, expression


@pytest.mark.server
def test_everything_that_the_dashboard_asks_for_is_there(there: Labels) -> None:
    asked = list(queries())
    assert len(asked) > 40
    for title, expression in asked:
        assert "$" not in expression, title
        require(expression, there)


@pytest.mark.server
def test_everything_that_alert_rules_ask_for_is_there(there: Labels) -> None:
    for _, rule in rules():
        require(rule["expr"], there)


@pytest.mark.server
def test_every_metric_is_described_with_its_labels_and_no_other(there: Labels) -> None:
    rows = re.findall(r"^\| `((?:vital|process)_\w+)` \|([^|]*)\|", METRICS.read_text(), re.MULTILINE)
    described = {name: frozenset(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert described == there


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    described = re.findall(r"^\| `(Vital\w+)` \|", METRICS.read_text(), re.MULTILINE)
    assert described == [name for name, _ in rules()]
    for name, rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert rule["annotations"]["summary"].endswith("."), name


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_the_scrape_job_names_the_rules_and_the_ports_of_the_units() -> None:
    conf = yaml.safe_load((EXAMPLES / "prometheus.yml").read_text())
    (job,) = conf["scrape_configs"]
    assert job["job_name"] == "vital"  # as the rules' job="vital"
    assert all((EXAMPLES / name).exists() for name in conf["rule_files"])
    (targets,) = (static["targets"] for static in job["static_configs"])
    nginx = (EXAMPLES / "nginx.conf").read_text()
    assert all(f"server {target} " in nginx for target in targets)


@pytest.mark.server
def test_the_scrape_names_neither_patient_nor_user_nor_device(scraped: str, server: Server) -> None:
    for name in ("patient of", "scraped", "Ward a", "prometheus", "witness"):
        assert f'"{name}' not in scraped
    assert "vta_" not in scraped
    assert "vtd_" not in scraped
    process = re.search(r'vital_process_info\{process="([0-9a-f]{8})"\} 1\.0', scraped)
    assert process is not None


@pytest.mark.server
def test_figures_are_of_what_happened(scraped: str) -> None:
    def value(sample: str) -> float:
        found = re.search(rf"^{re.escape(sample)} (\S+)$", scraped, re.MULTILINE)
        assert found is not None, sample
        return float(found[1])

    assert value('vital_streams{state="online"}') == 1
    assert value('vital_viewer_streams{rendition="lossless"}') == 1
    assert value("vital_messages_sent_total") > 0
    assert value("process_resident_memory_bytes") > 50e6
    assert 0 < value('vital_message_stage_seconds{quantile="0.5",stage="total"}') < 10


@pytest.mark.server
def test_only_who_may_is_answered(server: Server) -> None:
    assert get(server)[0] == 200
    status, content_type, text = get(server, x_forwarded_for="127.0.0.1")
    assert (status, content_type) == (403, "text/plain; charset=utf-8")
    assert "VITAL_METRICS_NETWORKS" in text
    assert get(server, x_forwarded_for="1.2.3.4", authorization="Bearer 0123456789abcdef")[0] == 200
    assert get(server, x_forwarded_for="1.2.3.4", authorization="Bearer 0123456789abcdeg")[0] == 403
