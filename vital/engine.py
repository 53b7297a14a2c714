"""What Daphne leaves open of its WebSocket engine: how much of a message is read, and how it refuses."""

from __future__ import annotations

from typing import Any

MAX_MESSAGE_BYTES = 1024 * 1024
"""Beyond it the engine itself closes, with 1009; from 64 KiB on the guard does, with words.

Without a limit the engine keeps a message of any size until its end has come, and only then asks us.
"""


def limit_daphne() -> None:
    """Set the limits for every WebSocket that Daphne will accept; call it before Daphne listens."""
    from daphne import server, ws_protocol

    class LimitedFactory(ws_protocol.WebSocketFactory):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.setProtocolOptions(
                maxFramePayloadSize=MAX_MESSAGE_BYTES,
                maxMessagePayloadSize=MAX_MESSAGE_BYTES,
                failByDrop=False,  # a close frame with its code, where Autobahn would just hang up
            )

    server.WebSocketFactory = LimitedFactory
