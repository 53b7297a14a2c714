"""A line in the log: for people or programs, of the connection that it is about, and of nobody by name."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import re
import sys
import threading
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from django.core.exceptions import ImproperlyConfigured

from streaming import log_context
from streaming.backpressure import BackpressureHandler
from streaming.consumers import ViewerConsumer
from streaming.guard import Guard
from streaming.hub import Hub
from streaming.log_context import NOBODY, Work, WorkKind, working_for
from tests.fakes import FakeSocket, virtual_time
from tests.servers import ROOT
from tests.viewers import Viewer, frames_of, stream_info
from vital import env
from vital.logs import JsonFormatter, LineFormatter

MINE = Work(WorkKind.CONNECTION, "11111111")
OTHER = Work(WorkKind.CONNECTION, "22222222")


def record(message: str, *args: object, fault: BaseException | None = None) -> logging.LogRecord:
    info = None if fault is None else (type(fault), fault, fault.__traceback__)
    return logging.getLogger("streaming.x").makeRecord(
        "streaming.x", logging.ERROR, "f", 1, message, args, exc_info=info
    )


def as_json(*args: Any, **kwargs: Any) -> dict[str, Any]:
    line = JsonFormatter().format(record(*args, **kwargs))
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def raised(fault: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise fault from cause
    except type(fault) as caught:
        return caught


class TestJson:
    """What a program reads."""

    def test_a_record_is_one_line_with_what_is_known_of_it(self) -> None:
        entry = as_json("two\nlines of %s", "text")
        time = entry.pop("time")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", time)
        pid = entry.pop("pid")
        assert pid > 0
        assert entry == {"level": "ERROR", "logger": "streaming.x", "message": "two\nlines of text"}

    @pytest.mark.parametrize("kind", WorkKind)
    def test_it_says_what_it_is_about(self, kind: WorkKind) -> None:
        with working_for(Work(kind, "9f2c61d0")):
            assert as_json("x")[kind.value] == "9f2c61d0"
        assert kind.value not in as_json("x")

    def test_of_an_exception_it_has_types_and_places_and_no_words(self) -> None:
        cause = raised(KeyError("Eisvogel"))
        entry = as_json("failed", fault=raised(ValueError("patient Heron 27"), cause))
        first, second = entry["exceptions"]
        assert (first["type"], second["type"]) == ("builtins.ValueError", "builtins.KeyError")
        assert re.fullmatch(r"tests/test_logs\.py:\d+ raised", first["at"][-1])
        assert "Heron" not in json.dumps(entry)
        assert "Eisvogel" not in json.dumps(entry)

    def test_what_an_exception_was_raised_while_handling_is_told_unless_it_is_said_not_to_be(self) -> None:
        def nested(*, quiet: bool) -> BaseException:
            try:
                try:
                    raise KeyError
                except KeyError:
                    if quiet:
                        raise ValueError from None
                    raise ValueError  # noqa: B904  # the case
            except ValueError as caught:
                return caught

        assert len(as_json("x", fault=nested(quiet=False))["exceptions"]) == 2
        assert len(as_json("x", fault=nested(quiet=True))["exceptions"]) == 1

    def test_exceptions_in_a_circle_end(self) -> None:
        one, two = ValueError(), KeyError()
        one.__context__, two.__context__ = two, one
        assert len(as_json("x", fault=one)["exceptions"]) == 2

    def test_what_recurses_is_cut(self) -> None:
        def deeper(left: int) -> None:
            if left == 0:
                raise LookupError
            deeper(left - 1)

        with pytest.raises(LookupError) as caught:
            deeper(200)
        (fault,) = as_json("x", fault=caught.value)["exceptions"]
        assert len(fault["at"]) == 60

    def test_of_a_token_the_prefix_is_left(self) -> None:
        assert as_json("token %s", "vtd_abcdefgh_S3cret-_x")["message"] == "token vtd_abcdefgh_***"

    def test_of_a_row_that_a_database_quotes_nothing_is_left(self) -> None:
        words = "duplicate key\nDETAIL:  Key (username)=(Eisvogel) already exists.\nHINT: none"
        said = as_json("refused: %s", words)["message"]
        line = LineFormatter("%(message)s").format(record("x", fault=raised(ValueError(words))))
        for told in (said, line):
            assert "Eisvogel" not in told
            assert "duplicate key\nDETAIL: ***\nHINT: none" in told

    def test_the_examples_of_the_documentation_are_laid_out_so(self) -> None:
        examples = re.findall(r"^\{\"time\".*\}$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
        assert len(examples) == 2
        with working_for(MINE):
            assert list(json.loads(examples[1])) == list(as_json("x"))
        assert list(json.loads(examples[0])) == list(as_json("x"))


def test_a_line_for_people_ends_in_what_it_is_about_before_the_traceback() -> None:
    formatter = LineFormatter("%(name)s: %(message)s")
    assert formatter.format(record("x")) == "streaming.x: x"
    with working_for(MINE):
        assert formatter.format(record("x")) == "streaming.x: x [connection 11111111]"
        lines = formatter.format(record("x", fault=raised(ValueError("words")))).splitlines()
    assert lines[0] == "streaming.x: x [connection 11111111]"
    assert lines[-1] == "ValueError: words"


class TestWork:
    """Whose work it is, wherever it is done."""

    async def test_every_request_has_an_id_of_its_own_and_threads_know_it(self) -> None:
        seen: list[Work | None] = []

        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(log_context.current())
            seen.append(await asyncio.to_thread(log_context.current))

        async def nothing(*_: Any) -> None:
            """Nobody says or hears anything."""

        guard = Guard(app, allowed_hosts=["vital.example"])
        for _ in range(2):
            await guard({"type": "http", "client": ["192.0.2.1", 5], "headers": []}, nothing, nothing)
        first, in_thread, second, _ = seen
        assert first == in_thread
        assert first != second
        assert first is not None
        assert first.kind is WorkKind.REQUEST
        assert re.fullmatch("[0-9a-f]{8}", first.id)
        assert log_context.current() is None

    def test_a_thread_of_nobody_works_for_nobody(self) -> None:
        seen: list[Work | None] = []
        with working_for(MINE):
            thread = threading.Thread(target=lambda: seen.append(log_context.current()))
            thread.start()
            thread.join()
        assert seen == [None]

    @virtual_time
    async def test_a_cut_is_logged_as_that_of_its_own_connection(self) -> None:
        lines = Kept("streaming.backpressure")
        with lines:
            with working_for(MINE):
                handler = BackpressureHandler(FakeSocket())
            with working_for(OTHER):  # whose message was one too many for it
                handler._fail(ConnectionResetError())
        await handler.aclose()
        assert [work for _, work in lines.kept][-1] == MINE

    @virtual_time
    async def test_what_serves_many_does_not_carry_on_who_began_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub = Hub(InMemoryChannelLayer(), process_id="here", clock=asyncio.get_running_loop().time)
        await hub.start()
        viewer = Viewer()
        hub.add(viewer.subscriber)
        seen: list[Work | None] = []

        def fail(*_: Any, **__: Any) -> None:
            seen.append(log_context.current())
            raise RuntimeError

        with working_for(OTHER):
            monkeypatch.setattr(viewer.subscriber, "choose", fail)
            monkeypatch.setattr(viewer.subscriber, "take", fail)
            for stream in ("a", "b"):
                await hub.watch(viewer.subscriber, stream)
            hub.publish(frames_of(stream_info("a"), 0))  # of two, none leaves before the tick
        await asyncio.sleep(1)
        await viewer.subscriber.aclose()
        await hub.aclose()
        assert len(seen) > 2
        assert set(seen) == {None}

    async def test_what_others_cause_on_a_connection_is_its_own_work(self) -> None:
        consumer, seen = ViewerConsumer(), asyncio.get_running_loop().create_future()

        async def work() -> None:
            seen.set_result(log_context.current())

        with working_for(OTHER):
            consumer.spawn(work())
        assert await seen == consumer.work

    def test_an_empty_context_knows_no_work(self) -> None:
        with working_for(MINE):
            assert NOBODY.run(log_context.current) is None


class Kept(logging.Handler):
    """What a logger says meanwhile, and for whom."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[tuple[str, Work | None]] = []
        self._logger = logging.getLogger(name)

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.getMessage(), log_context.current()))

    def __enter__(self) -> None:
        self._level = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)


class TestSettings:
    """What the environment says of the log."""

    def test_the_first_option_is_the_default(self) -> None:
        assert env.choice({}, "X", ("text", "json")) == "text"
        assert env.choice({"X": ""}, "X", ("text", "json")) == "text"
        assert env.choice({"X": " JSON "}, "X", ("text", "json")) == "json"

    def test_another_word_stops_the_start(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="X must be text or json, not 'xml'"):
            env.choice({"X": "xml"}, "X", ("text", "json"))

    def test_levels_are_by_logger(self) -> None:
        assert env.log_levels({"X": "streaming.hub=debug, daphne=WARNING"}, "X") == {
            "streaming.hub": "DEBUG",
            "daphne": "WARNING",
        }
        assert env.log_levels({}, "X") == {}

    @pytest.mark.parametrize("value", ["streaming", "streaming=", "=DEBUG", "streaming=LOUD", "a=b=DEBUG"])
    def test_what_is_no_level_stops_the_start(self, value: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="X must list loggers with a level"):
            env.log_levels({"X": value}, "X")


def test_every_module_that_logs_has_the_logger_of_its_name() -> None:
    loggers = 0
    for path in (
        path for room in ("vital", "monitoring", "streaming") for path in (ROOT / room).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "logging":
                name = node.func.attr
                assert name in {"getLogger", "Formatter", "Filter", "shutdown"}, f"{path}: logging.{name}"
                if name == "getLogger" and "management" not in path.parts:
                    loggers += 1
                    assert ast.unparse(node.args[0]) == "__name__", path
    assert loggers > 30


def test_loggers_that_the_documentation_names_are_there() -> None:
    rows = re.findall(
        r"^\| (`[\w.]+`(?:, `[\w.]+`)*) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`((?:streaming|monitoring|vital)\.[\w.]+)`", row)}
    assert len(named) > 6
    for name in named:
        __import__(name)
        source = sys.modules[name]
        assert isinstance(getattr(source, "logger", None) or getattr(source, "log", None), logging.Logger), (
            name
        )
