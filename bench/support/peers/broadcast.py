"""`websockets` with its own `broadcast`: run as `python -m bench.support.peers.broadcast deflate|plain`."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

viewers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """A device's messages go to all viewers; a viewer's are read and dropped."""
    request = connection.request
    assert request is not None
    if request.path.startswith("/ws/device/"):
        async for message in connection:
            broadcast(viewers, message)
        return
    viewers.add(connection)
    try:
        async for _ in connection:
            pass
    finally:
        viewers.discard(connection)


async def main(compression: str | None) -> None:
    """Serve until the process is ended."""
    async with serve(handle, "127.0.0.1", 0, compression=compression, ping_interval=None) as server:
        print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main("deflate" if sys.argv[1] == "deflate" else None))
