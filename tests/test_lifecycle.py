"""Background work begins with the server and ends with it, under Daphne and elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.db import InterfaceError, OperationalError
from twisted.internet import defer

from streaming import command_line
from streaming.core.stats import GroupStats, ProcessUsage
from streaming.runtime import Runtime
from streaming.store.readiness import DatabaseAwayError
from tests.fakes import virtual_time
from tests.servers import DaphneServer
from vital import lifecycle
from vital.lifecycle import Lifecycle


class Order:
    """What was started and stopped, in order, with a Runtime and a SnapshotWriter that do nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.refusal: SystemExit | None = None
        self.faults: list[BaseException] = []
        """What the next attempts to start fail with."""
        self.hangs = False
        order = self

        class QuietRuntime(Runtime):
            async def start(self) -> None:
                if order.hangs:
                    await asyncio.Event().wait()
                if order.faults:
                    raise order.faults.pop(0)
                order.told.append("runtime starts")

            async def stop(self) -> None:
                order.told.append("runtime stops")

        class QuietSnapshots:
            def __init__(
                self,
                stats: Callable[[], list[GroupStats]],
                *,
                interval_s: float,
                process_id: str,
                beside: object,
                usage: Callable[[], ProcessUsage],
            ) -> None:
                assert isinstance(beside, str)
                assert stats() == []
                assert usage().viewers == 0
                assert interval_s > 0
                assert process_id

            def start(self) -> None:
                order.told.append("snapshots start")

            async def aclose(self) -> None:
                order.told.append("snapshots end")

        class QuietAlerting:
            watch = "the watch over alert rules"

            def __init__(self, _runtime: Runtime) -> None:
                pass

            def start(self, snapshots: object) -> None:
                assert isinstance(snapshots, QuietSnapshots)
                order.told.append("alerts start")

            async def aclose(self) -> None:
                order.told.append("alerts end")

        monkeypatch.setattr(lifecycle, "Alerting", QuietAlerting)
        monkeypatch.setattr(lifecycle, "Runtime", QuietRuntime)
        monkeypatch.setattr(lifecycle, "SnapshotWriter", QuietSnapshots)
        monkeypatch.setattr(lifecycle, "get_channel_layer", InMemoryChannelLayer)
        monkeypatch.setattr(lifecycle, "database_sync_to_async", _at_once)
        monkeypatch.setattr(lifecycle, "require_migrated", self._require_migrated)

    def _require_migrated(self) -> None:
        self.told.append("database checked")
        if self.refusal is not None:
            raise self.refusal


def _at_once(function: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """Where a thread would run it."""

    async def call() -> None:
        function()

    return call


STARTED = ["database checked", "runtime starts", "snapshots start", "alerts start"]
STOPPED = ["runtime stops", "alerts end", "snapshots end"]


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Order:
    return Order(monkeypatch)


class App:
    """The application behind the lifecycle: remembers the scopes that reached it."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scopes.append(scope)


async def nothing(*_: Any) -> None:
    """A receive or send that nobody uses."""


async def test_the_lifespan_starts_and_ends_it_all(order: Order) -> None:
    app = App()
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    server = asyncio.create_task(Lifecycle(app)({"type": "lifespan"}, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert await outbox.get() == {"type": "lifespan.startup.complete"}
    assert order.told == STARTED
    inbox.put_nowait({"type": "lifespan.shutdown"})
    assert await outbox.get() == {"type": "lifespan.shutdown.complete"}
    assert order.told == STARTED + STOPPED
    await server
    assert app.scopes == []


async def test_an_unmigrated_database_fails_the_startup_with_what_to_do(order: Order) -> None:
    order.refusal = SystemExit("VITAL cannot run: Run: python manage.py migrate")
    sent: list[dict[str, str]] = []

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    await Lifecycle(App())({"type": "lifespan"}, nothing, send)
    assert sent == [
        {
            "type": "lifespan.startup.failed",
            "message": "VITAL cannot run: Run: python manage.py migrate",
        }
    ]
    assert order.told == ["database checked"]


async def test_a_websocket_waits_for_the_start_and_finds_the_runtime(order: Order) -> None:
    app = App()
    wrapped = Lifecycle(app)
    early = asyncio.create_task(wrapped({"type": "websocket", "path": "/"}, nothing, nothing))
    await asyncio.sleep(0)
    assert app.scopes == []
    await wrapped.start()
    await early
    assert isinstance(app.scopes[0]["vital"], Runtime)
    assert app.scopes[0]["path"] == "/"
    await wrapped.stop()


AWAY = ConnectionError("the channel layer does not answer")


@virtual_time
async def test_a_start_is_tried_until_the_layer_is_there_and_said_once(
    order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    order.faults = [AWAY] * 5
    wrapped = Lifecycle(App())
    await wrapped.start()
    assert order.told[-3:] == STARTED[-3:]
    assert [record.message for record in caplog.records] == [
        "cannot start yet, retrying: the channel layer does not answer (ConnectionError)",
        "started, after all",
    ]
    await wrapped.stop()


@virtual_time
@pytest.mark.parametrize(
    "fault", [OperationalError("away"), InterfaceError("away"), DatabaseAwayError("away"), KeyError("ours")]
)
async def test_whatever_hinders_the_start_is_logged_and_tried_again(
    order: Order, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    order.faults = [fault]
    wrapped = Lifecycle(App())
    await wrapped.start()
    assert "cannot start yet" in caplog.text
    await wrapped.stop()


@virtual_time
async def test_a_start_that_takes_too_long_fails_the_lifespan_with_the_reason(order: Order) -> None:
    order.faults = [AWAY] * 1000
    sent: list[dict[str, str]] = []

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    await Lifecycle(App())({"type": "lifespan"}, nothing, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "the channel layer does not answer" in sent[0]["message"]


@virtual_time
async def test_a_websocket_that_comes_too_early_is_asked_to_come_again(order: Order) -> None:
    app, began = App(), asyncio.get_running_loop().time()
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await Lifecycle(app)({"type": "websocket", "subprotocols": ["vital.v1"]}, nothing, send)
    assert app.scopes == []
    assert asyncio.get_running_loop().time() - began == pytest.approx(lifecycle.EARLY_SOCKET_S)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == 4012
    assert json.loads(sent[1]["text"])["retry_after_ms"] > 0


async def test_http_is_answered_while_the_start_is_under_way(order: Order) -> None:
    app, scope = App(), {"type": "http"}
    await Lifecycle(app)(scope, nothing, nothing)
    nothing_yet = dict.fromkeys(("vital", "vital.snapshots", "vital.alerts", "vital.live"))
    assert app.scopes == [{"type": "http", **nothing_yet}]
    assert scope == {"type": "http"}


async def test_a_stop_before_the_start_has_nothing_to_end(order: Order) -> None:
    await Lifecycle(App()).stop()
    assert order.told == []


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Callable[[], Any]]:
    """What was hooked into the reactor of a Daphne that is not there."""
    hooked: dict[Any, Callable[[], Any]] = {}
    reactor = SimpleNamespace(
        callWhenRunning=lambda start: hooked.update(running=start),
        addSystemEventTrigger=lambda phase, event, stop: hooked.update({(phase, event): stop}),
    )
    monkeypatch.setitem(sys.modules, "daphne.server", ModuleType("daphne.server"))
    monkeypatch.setattr("twisted.internet.reactor", reactor, raising=False)
    return hooked


class TestReactor:
    def test_without_daphne_there_is_no_reactor_to_hook_into(
        self, hooks: dict[Any, Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "daphne.server")
        Lifecycle(App()).hook_into_daphne()
        assert hooks == {}

    async def test_it_starts_with_the_reactor_and_holds_up_its_shutdown(
        self, order: Order, hooks: dict[Any, Callable[[], Any]]
    ) -> None:
        app = App()
        wrapped = Lifecycle(app)
        wrapped.hook_into_daphne()
        hooks["running"]()
        await wrapped({"type": "websocket"}, nothing, nothing)
        assert order.told == STARTED
        held = hooks["before", "shutdown"]()
        assert isinstance(held, defer.Deferred)
        await held.asFuture(asyncio.get_running_loop())
        assert order.told == STARTED + STOPPED

    async def test_a_stop_ends_a_start_that_hangs(
        self, order: Order, hooks: dict[Any, Callable[[], Any]]
    ) -> None:
        order.hangs = True
        Lifecycle(App()).hook_into_daphne()
        hooks["running"]()
        await asyncio.sleep(0)
        await asyncio.wait_for(hooks["before", "shutdown"]().asFuture(asyncio.get_running_loop()), 5)
        assert "snapshots start" not in order.told

    async def test_a_refusal_ends_the_process_though_a_thread_may_wait_for_its_loop(
        self,
        order: Order,
        hooks: dict[Any, Callable[[], Any]],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        order.refusal = SystemExit("VITAL cannot run")
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(os, "_exit", status.set_result)
        Lifecycle(App()).hook_into_daphne()
        hooks["running"]()
        assert await status == 1
        assert capsys.readouterr().err == "VITAL cannot run\n"


@pytest.mark.server
def test_daphne_refuses_an_unmigrated_database_and_exits(tmp_path: Path) -> None:
    server = DaphneServer(tmp_path)
    with pytest.raises(AssertionError, match="ended with status 1"):
        server.start()  # asks /readyz meanwhile, as a load balancer would
    log = server.log
    what_to_do = re.escape(command_line.here("manage.py", "migrate"))
    assert re.search(rf"VITAL cannot run: the database lacks \d+ migrations\. Run: {what_to_do}", log)
