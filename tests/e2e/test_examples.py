"""The configurations in docs/examples do what the documentation says: nginx and systemd take them."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.e2e.cluster import Cluster
from tests.e2e.witness import RATE_HZ, numbered_device, witness
from tests.servers import ROOT

EXAMPLES = ROOT / "docs" / "examples"
START_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Front:
    """nginx before both processes of a cluster."""

    parts: Cluster
    port: int
    trust: ssl.SSLContext

    @property
    def ws_url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"


def _with(text: str, *replacements: tuple[str, str]) -> str:
    """The example with what is this machine's own; each has to be there."""
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} is not once in the example"
        text = text.replace(old, new)
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _certificate(home: Path) -> tuple[Path, Path]:
    key, certificate = home / "key.pem", home / "certificate.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *files)
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", *made, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


@contextmanager
def _nginx(home: Path, conf: Path, port: int) -> Iterator[None]:
    command = ["nginx", "-p", str(home), "-c", str(conf), "-g", "daemon off;"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, process.communicate()[1].decode()
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture(scope="module")
def front(parts: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if shutil.which("nginx") is None:
        unavailable("nginx is not installed (`apt install nginx`)")
    home = tmp_path_factory.mktemp("front")
    key, certificate = _certificate(home)
    port = _free_port()
    conf = home / "nginx.conf"
    text = _with(
        (EXAMPLES / "nginx.conf").read_text(),
        ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
        ("/run/nginx.pid", str(home / "pid")),
        ("/var/log/nginx/error.log", str(home / "error.log")),
        ("127.0.0.1:8001", f"127.0.0.1:{parts.first.port}"),
        ("127.0.0.1:8002", f"127.0.0.1:{parts.second.port}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/vital/fullchain.pem", str(certificate)),
        ("/etc/ssl/vital/privkey.pem", str(key)),
    )
    conf.write_text(text)
    with _nginx(home, conf, port):
        yield Front(parts, port, ssl.create_default_context(cafile=str(certificate)))


@pytest.mark.server
@pytest.mark.valkey
async def test_behind_nginx_a_stream_outlives_the_stop_of_each_process(front: Front) -> None:
    parts = front.parts
    bed = (await parts.shell.do("admit", "behind nginx")).result
    async with (
        numbered_device(front.ws_url, bed["token"], ssl=front.trust) as feed,
        witness(front.ws_url, parts.token, bed["stream"], ssl=front.trust) as seen,
    ):
        await seen.reaches(int(RATE_HZ))
        assert seen.gaps == []
        for server in (parts.first, parts.second):
            port = server.port
            server.terminate()
            await asyncio.to_thread(server.wait)
            await seen.reaches(feed.next_sample + int(RATE_HZ))
            await asyncio.to_thread(server.start_again, port)
        assert feed.abandoned_samples == 0
        assert seen.epochs == [feed.epoch]
        assert feed.reconnects > 0


@pytest.mark.server
def test_behind_nginx_the_page_is_https_and_knows_who_asks(front: Front) -> None:
    request = urllib.request.Request(f"https://127.0.0.1:{front.port}/accounts/login/")
    with urllib.request.urlopen(request, context=front.trust, timeout=10) as answer:
        assert answer.status == 200
        cookies = answer.headers.get_all("Set-Cookie")
    assert all("Secure" in cookie for cookie in cookies)


@pytest.mark.server
def test_behind_nginx_nobody_reads_the_metrics(front: Front) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"https://127.0.0.1:{front.port}/metrics", context=front.trust, timeout=10)
    assert "VITAL" not in refused.value.read().decode()


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    binaries = Path(sys.executable).parent
    unit = (EXAMPLES / "vital@.service").read_text().replace("/opt/vital/.venv/bin", str(binaries))
    (tmp_path / "vital@.service").write_text(unit.replace("/opt/vital", str(ROOT)))
    shutil.copy(EXAMPLES / "vital.target", tmp_path)
    command = ["systemd-analyze", "verify", "vital@8001.service", "vital.target"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_postgresql_understands_its_settings(tmp_path: Path) -> None:
    if shutil.which("postgres") is None:
        pytest.skip("no PostgreSQL here")
    shutil.copy(EXAMPLES / "postgresql.conf", tmp_path)
    command = ["postgres", "-C", "lock_timeout", "-D", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "5000"), done.stderr
