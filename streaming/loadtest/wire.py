"""A WebSocket client (RFC 6455) with as little work per message as Python allows, and a link of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult

from streaming.core.frames import SUBPROTOCOL
from streaming.core.strict_json import MAX_SERVER_TEXT_BYTES
from streaming.exceptions import ProtocolError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ABNORMAL = 1006
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_READ_BYTES = 64 * 1024
_PIECE_S = 0.05
"""What a narrow link brings at once: as much as it carries in this time."""
_RECEIVE_BUFFER_BYTES = 4096
"""Of a narrow link: what the kernel takes ahead of it would hide how narrow it is."""
_MAX_HEAD_BYTES = 8192


class WireClient(asyncio.BufferedProtocol):
    """One connection: `on_message(is_text, payload)` for each message, `on_end(code, reason)` once.

    With `bytes_per_s` it reads no faster than that from its socket, which is what a narrow link does to the
    server. `opened` is done when the handshake is; it raises ConnectionError where the server refuses. A
    server that is measured beside VITAL may speak no subprotocol (None), and be offered `extensions`; what it
    compresses by them comes as it is.
    """

    def __init__(
        self,
        url: SplitResult,
        path: str,
        *,
        on_message: Callable[[bool, bytes], None],
        on_end: Callable[[int, str], None],
        bytes_per_s: float | None = None,
        subprotocol: str | None = SUBPROTOCOL,
        extensions: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._url = url
        self._path = url.path.rstrip("/") + path
        self._on_message = on_message
        self._on_end = on_end
        self._bytes_per_s = bytes_per_s
        self._subprotocol = subprotocol
        self._extensions = extensions
        size = _READ_BYTES if bytes_per_s is None else max(256, min(_READ_BYTES, int(_PIECE_S * bytes_per_s)))
        self._piece = memoryview(bytearray(size))
        self._received = bytearray()
        self._fragments = b""
        self._fragment_is_text = False
        self._key = base64.b64encode(os.urandom(16))
        self._is_open = False
        self._code, self._reason = ABNORMAL, ""
        self._free_at = 0.0
        self._resume: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def send_text(self, text: str) -> None:
        """Send one text message; nothing happens on a connection that is gone."""
        self._write(TEXT, text.encode())

    def pause(self) -> None:
        """Read nothing from now on, as a client that hangs."""
        self._bytes_per_s = None
        if self._resume is not None:
            self._resume.cancel()
        if self._transport is not None:
            self._transport.pause_reading()

    def socket(self) -> Any:
        """The open connection's socket, to look at."""
        return None if self._transport is None else self._transport.get_extra_info("socket")

    def close(self, code: int = 1000) -> None:
        """Say goodbye and hang up."""
        self._write(CLOSE, struct.pack(">H", code))
        if self._transport is not None:
            self._transport.close()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._url.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {self._key.decode()}",
        ]
        if self._subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {self._subprotocol}")
        if self._extensions is not None:
            lines.append(f"Sec-WebSocket-Extensions: {self._extensions}")
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._resume is not None:
            self._resume.cancel()
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(str(exc or "the server hung up")))
            self.opened.exception()  # somebody may wait for it, or not
        self._on_end(self._code, self._reason)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Where the next piece goes."""
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """Take a piece, and let no more come before the link would have brought it."""
        self._received += self._piece[:nbytes]
        try:
            if self._is_open or self._shake_hands():
                self._take_frames()
        except ProtocolError as error:
            self._code, self._reason = error.close_code, error.reason
            self.close(int(error.close_code))
            return
        if self._bytes_per_s is not None and self._transport is not None:
            now = self._loop.time()
            self._free_at = max(now, self._free_at) + nbytes / self._bytes_per_s
            self._transport.pause_reading()
            self._resume = self._loop.call_at(self._free_at, self._transport.resume_reading)

    # -- RFC 6455

    def _shake_hands(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _MAX_HEAD_BYTES:
                raise ProtocolError("the server's answer to the handshake has no end")
            return False
        head = bytes(self._received[:end])
        del self._received[: end + 4]
        status, *lines = head.split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(b":") for x in lines)
        }
        if b" 101 " not in status + b" ":
            self.opened.set_exception(ConnectionError(status.decode("latin-1")))
            self.opened.exception()
            assert self._transport is not None
            self._transport.close()
            return False
        accept = base64.b64encode(hashlib.sha1(self._key + _ACCEPT_GUID, usedforsecurity=False).digest())
        if headers.get(b"sec-websocket-accept") != accept:
            raise ProtocolError("the server's answer to the handshake is not of RFC 6455")
        spoken = headers.get(b"sec-websocket-protocol", b"").decode("latin-1") or None
        if spoken != self._subprotocol:
            raise ProtocolError(f"the server does not speak {self._subprotocol}")
        self._is_open = True
        self.opened.set_result(None)
        return True

    def _take_frames(self) -> None:
        received, at = self._received, 0
        end = len(received)
        while end - at >= 2:
            size, head = received[at + 1] & 0x7F, 2
            if size == 126:
                if end - at < 4:
                    break
                size, head = int.from_bytes(received[at + 2 : at + 4], "big"), 4
            elif size == 127:
                if end - at < 10:
                    break
                size, head = int.from_bytes(received[at + 2 : at + 10], "big"), 10
                if size > MAX_SERVER_TEXT_BYTES:
                    raise ProtocolError("message is larger than 1 MiB")
            if end - at < head + size:
                break
            first = received[at]
            self._take(first & 0x0F, bool(first & 0x80), bytes(received[at + head : at + head + size]))
            at += head + size
        del received[:at]

    def _take(self, opcode: int, is_last: bool, payload: bytes) -> None:
        if opcode in (TEXT, BINARY, CONTINUATION):
            if opcode != CONTINUATION:
                self._fragment_is_text = opcode == TEXT
            elif not self._fragments:
                raise ProtocolError("a continuation of nothing")
            if not is_last or opcode == CONTINUATION:
                payload = self._fragments + payload
            if not is_last:
                self._fragments = payload
                return
            self._fragments = b""
            self._on_message(self._fragment_is_text, payload)
        elif opcode == PING:
            self._write(PONG, payload)
        elif opcode == CLOSE:
            self._code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._reason = payload[2:].decode(errors="replace")
            self.close(1000)

    def _write(self, opcode: int, payload: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | size)
        else:
            head = struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
        # A mask of zeros leaves the payload as it is. Browsers must not do this; here nobody is to be fooled.
        self._transport.write(head + bytes(4) + payload)


async def connect(url: SplitResult, client: WireClient, *, narrow: bool, timeout_s: float) -> None:
    """Open the connection of `client`. Raises OSError (ConnectionError, TimeoutError) where it cannot."""
    loop = asyncio.get_running_loop()
    assert url.hostname is not None
    port = url.port or (443 if url.scheme == "wss" else 80)
    context = ssl.create_default_context() if url.scheme == "wss" else None
    try:
        async with asyncio.timeout(timeout_s):
            family, kind, proto, _, address = (
                await loop.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
            )[0]
            raw = socket.socket(family, kind, proto)
            try:
                raw.setblocking(False)
                if narrow:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
                await loop.sock_connect(raw, address)
            except BaseException:
                raw.close()
                raise
            await loop.create_connection(
                lambda: client, sock=raw, ssl=context, server_hostname=url.hostname if context else None
            )
            await client.opened
    except TimeoutError:
        client.close()
        raise TimeoutError(f"{url.netloc} did not answer within {timeout_s:g} s") from None
