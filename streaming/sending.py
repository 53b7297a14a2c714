"""How one message gets onto a socket: by which method, and after which errors it is tried again."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable
from typing import Any

_RETRY_DELAY_S = 0.05
_TRANSIENT = {errno.EAGAIN, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT}


class SocketSender:
    """Sends to whatever `websocket` is: Starlette and FastAPI, or a Channels consumer."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._send_bytes, self._send_text = _methods(websocket)
        self.retries = 0

    async def send(self, message: bytes | str, *, max_retries: int) -> None:
        """Send one message; a transient error is tried again, any other one is raised at once.

        Raises the last error. A send that merely takes long is never repeated: the server may have
        written it already, and a second copy would put every later ack off by one.
        """
        send = self._send_text if isinstance(message, str) else self._send_bytes
        attempt = 0
        while True:
            try:
                return await send(message)
            except OSError as error:
                if attempt >= max_retries or not _is_transient(error) or self._is_closed():
                    raise
            await asyncio.sleep(_RETRY_DELAY_S * 2**attempt)
            attempt += 1
            self.retries += 1

    def _is_closed(self) -> bool:
        states = (getattr(self._websocket, name, None) for name in ("client_state", "application_state"))
        return any(getattr(state, "name", None) == "DISCONNECTED" for state in states)


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
