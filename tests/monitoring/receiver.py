"""A real small HTTP server that takes webhooks, and answers as it is told."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.servers import ROOT


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    content: bytes


@dataclass
class Receiver:
    """What came, and what is answered: the next of `statuses`, then 204."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    answer: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)
    """Nothing is answered before it is set."""
    received: list[Received] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/alerts?x=1"

    @property
    def host(self) -> str:
        """As VITAL_WEBHOOK_HOSTS names it."""
        return f"127.0.0.1:{self.port}"

    def until(self, count: int, timeout_s: float = 20.0) -> list[Received]:
        """Wait for so many requests; all that came."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.received) >= count, timeout_s), self.received
            return list(self.received)


@contextmanager
def receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """Listens on a port that the kernel chose, until it is left; with a certificate, by TLS."""
    told = Receiver()
    told.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with told.came:
                told.received.append(Received(self.path, dict(self.headers.items()), content))
                told.came.notify_all()
            told.hold.wait(20)
            status = told.statuses.pop(0) if told.statuses else 204
            self.send_response(status)
            if told.location:
                self.send_header("Location", told.location)
            self.send_header("Content-Length", str(len(told.answer)))
            self.end_headers()
            self.wfile.write(told.answer)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_address[1]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake is the request's own thread's, so that one that fails ends no other.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield told
        finally:
            told.hold.set()
            server.shutdown()
            thread.join()


def is_from_vital(secret: str, headers: dict[str, str], content: bytes, now: float) -> bool:
    """The receiver of docs/operations.md, run as it stands there."""
    page = (ROOT / "docs" / "operations.md").read_text()
    (code,) = re.findall(r"```python\n(import hashlib.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: bool = names["is_from_vital"](secret, headers, content, now=now)
    return found
