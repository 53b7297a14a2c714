"""How one message gets onto a socket: by which method, in what time, and after which errors again."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any

SEND_DEADLINE_S = 3.0
"""One attempt; with the three retries a send may take 12 s, as long as the oldest byte of a window."""
_RETRY_DELAY_S = 0.05
_CLOSED = {"WebSocketDisconnect", "ConnectionClosedOK", "ConnectionClosedError", "Disconnected"}
"""What Starlette, websockets and autobahn raise; by name, because none of them is needed here."""
_TIMER_STEP_S = 0.001
_TRANSIENT = {errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT}


class SocketSender:
    """Sends to whatever `websocket` is: Starlette and FastAPI, or a Channels consumer.

    One send at a time. `on_overdue` is called when one has used up all its deadlines.
    """

    def __init__(self, websocket: Any, *, clock: Callable[[], float], on_overdue: Callable[[], None]) -> None:
        self.retries = 0
        """Attempts after the first: calls after a transient error, and deadlines that passed."""
        self._websocket = websocket
        self._send_bytes, self._send_text = _methods(websocket)
        self._clock = clock
        self._on_overdue = on_overdue
        self._began: float | None = None
        self._max_retries = 0
        self._deadlines_passed = 0
        self._watch: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a send is under way."""
        return self._began is not None

    def begin(
        self, message: bytes | str, *, max_retries: int, task: asyncio.Task[None], context: Context
    ) -> Begun | None:
        """Do as much of `send` as does not wait; what is left `task` has to await, None where nothing is.

        Most servers hand a message to the socket without waiting for anything, and then it has left on
        return, without a task's turn. It runs as a part of `task`, which waits now, and in its `context`: a
        server's `asyncio.timeout` would end whichever task happens to be running. Raises as `send`.
        """
        coroutine = self.send(message, max_retries=max_retries)
        loop, running = task.get_loop(), asyncio.current_task()
        # By the functions that asyncio has for other implementations of tasks.
        if running is not None:
            asyncio._leave_task(loop, running)
        asyncio._enter_task(loop, task)
        try:
            waits_for = context.run(coroutine.send, None)
        except StopIteration:
            return None
        finally:
            asyncio._leave_task(loop, task)
            if running is not None:
                asyncio._enter_task(loop, running)
        return Begun(coroutine, waits_for)

    async def send(self, message: bytes | str, *, max_retries: int) -> None:
        """Send one message; a transient error is tried again, any other one is raised at once.

        Raises the last error. A send that merely takes long is waited for anew, not repeated: the server
        may have written it already, and a second copy would put every later ack off by one.
        """
        self._began, self._max_retries, self._deadlines_passed = self._clock(), max_retries, 0
        if self._watch is None:
            # One timer serves many messages: it looks at the one that it finds under way.
            self._watch = asyncio.get_running_loop().call_later(SEND_DEADLINE_S, self._on_deadline)
        send = self._send_text if isinstance(message, str) else self._send_bytes
        attempt = 0
        try:
            while True:
                try:
                    return await send(message)
                except OSError as error:
                    if attempt >= max_retries or not _is_transient(error) or self._is_closed():
                        raise
                await asyncio.sleep(_RETRY_DELAY_S * 2**attempt)
                attempt += 1
                self.retries += 1
        finally:
            self._began = None

    def close(self) -> None:
        """Stop the watch."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _on_deadline(self) -> None:
        self._watch = None
        if self._began is None:
            return
        elapsed_s = self._clock() - self._began
        passed = int((elapsed_s + _TIMER_STEP_S) / SEND_DEADLINE_S)
        self.retries += min(passed, self._max_retries) - self._deadlines_passed
        self._deadlines_passed = min(passed, self._max_retries)
        if passed > self._max_retries:
            self._on_overdue()
            return
        delay_s = (passed + 1) * SEND_DEADLINE_S - elapsed_s
        self._watch = asyncio.get_running_loop().call_later(delay_s, self._on_deadline)

    def _is_closed(self) -> bool:
        states = (getattr(self._websocket, name, None) for name in ("client_state", "application_state"))
        return any(getattr(state, "name", None) == "DISCONNECTED" for state in states)


class Begun:
    """A coroutine that has run up to its first wait; awaited once, it goes on from there.

    What `asyncio.eager_task_factory` does from Python 3.12 on, without a task for those that never wait.
    """

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for, coroutine = self._waits_for, self._coroutine
        step: Callable[[Any], Any]
        while True:
            try:
                argument = yield waits_for
            except BaseException as error:  # noqa: BLE001  # a cancellation too is the coroutine's to handle
                step, argument = coroutine.throw, error
            else:
                step = coroutine.send
            try:
                waits_for = step(argument)
            except StopIteration:
                return

    def close(self) -> None:
        """End it where it waits."""
        self._coroutine.close()


def as_message(data: Any) -> bytes | str:
    """Bytes and text as they are, arrays as nested lists, anything else as JSON.

    ValueError for an empty message, which ASGI servers do not send, and for what JSON cannot say.
    """
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    elif not isinstance(data, bytes | str):
        try:
            data = json.dumps(data, separators=(",", ":"), allow_nan=False, default=_plain)
        except TypeError as error:
            raise ValueError(f"cannot send {type(data).__name__} as JSON") from error
    if not data:
        raise ValueError("an empty message cannot be sent")
    message: bytes | str = data
    return message


def says_closed(error: Exception) -> bool:
    """Whether a send failed because of the socket, as servers and frameworks say it, and not by our fault."""
    return isinstance(error, OSError | RuntimeError) or type(error).__name__ in _CLOSED


def _plain(value: Any) -> Any:
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return tolist()


_Send = Callable[[Any], Awaitable[None]]


def _methods(websocket: Any) -> tuple[_Send, _Send]:
    send_bytes, send_text = getattr(websocket, "send_bytes", None), getattr(websocket, "send_text", None)
    if callable(send_bytes) and callable(send_text):
        return send_bytes, send_text
    send = getattr(websocket, "send", None)
    if not callable(send):
        raise TypeError(f"{type(websocket).__name__} has neither send_bytes and send_text, nor send")
    return (lambda data: send(bytes_data=data)), (lambda data: send(text_data=data))


def _is_transient(error: OSError) -> bool:
    # What says that the peer is gone (reset, aborted, broken pipe) is a ConnectionError.
    return not isinstance(error, ConnectionError) and (
        isinstance(error, TimeoutError) or error.errno in _TRANSIENT
    )
