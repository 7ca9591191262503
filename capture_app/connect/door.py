"""One port for HTTPS and HTTP: TLS goes to the page, plain HTTP to the /connect page alone.

    serve(app, connect_app, listeners, Path("page.pem"), Path("page.pem"), max_message_bytes=25 << 20)

A phone that does not trust the certificate yet, and a person who types http://, must find a way on at the address
that they have, so the first byte of each connection decides (22 opens a TLS handshake: RFC 8446, Sec. 5.1). The
page itself goes out over plain HTTP to this machine only, where browsers give the camera to it. Torch-free.
"""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

TLS_HANDSHAKE = b"\x16"
FIRST_BYTE_SECONDS = 20.0
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Rooms:
    """Where the door leads: ports on this machine's loopback."""

    tls: int
    """The page, over TLS."""
    local: int
    """The page, over plain HTTP, for this machine's own browser."""
    plain: int
    """/connect and nothing else, over plain HTTP."""

    def behind(self, first: bytes, *, from_this_machine: bool) -> int:
        """The port for a connection, by its first byte."""
        if first == TLS_HANDSHAKE:
            return self.tls
        return self.local if from_this_machine else self.plain


class Door:
    """Passes each connection on to its room, byte for byte."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._guests: set[asyncio.Task[None]] = set()

    def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take in one connection; a callback of `asyncio.start_server`."""
        guest = asyncio.get_running_loop().create_task(self._show_in(reader, writer))
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)

    async def close(self) -> None:
        """End every connection that is still open."""
        for guest in list(self._guests):
            guest.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    async def _show_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A phone that leaves in the middle is nobody's error.
        with suppress(ConnectionError, TimeoutError):
            try:
                first = await asyncio.wait_for(reader.read(1), FIRST_BYTE_SECONDS)
                if first:
                    port = self.rooms.behind(first, from_this_machine=_from_this_machine(writer))
                    await _pass_on(first, reader, writer, port)
            finally:
                writer.close()


async def _pass_on(
    first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
) -> None:
    room_reader, room_writer = await asyncio.open_connection("127.0.0.1", port)
    room_writer.write(first)
    inward = asyncio.get_running_loop().create_task(_copy(reader, room_writer))
    try:
        await _copy(room_reader, writer)
    finally:
        inward.cancel()
        room_writer.close()
        await asyncio.gather(inward, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends; then end the sink too, so that the other direction ends."""
    try:
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    finally:
        if sink.can_write_eof() and not sink.is_closing():
            with suppress(OSError):
                sink.write_eof()


def _from_this_machine(writer: asyncio.StreamWriter) -> bool:
    return ip_address(writer.get_extra_info("sockname")[0].split("%")[0]).is_loopback


def serve(
    page: Any,
    connect_page: Any,
    listeners: Sequence[socket.socket],
    certificate: Path,
    private_key: Path,
    *,
    max_message_bytes: int,
) -> None:
    """Serve until Ctrl-C.

    Args:
        page: the ASGI application that TLS, and this machine, get.
        connect_page: the ASGI application that everyone else gets over plain HTTP.
        listeners: bound sockets.
        certificate: PEM, the server's certificate first.
        private_key: PEM.
        max_message_bytes: of one message on the web socket.
    """
    asyncio.run(_serve(page, connect_page, listeners, certificate, private_key, max_message_bytes))


async def _serve(
    page: Any,
    connect_page: Any,
    listeners: Sequence[socket.socket],
    certificate: Path,
    private_key: Path,
    max_message_bytes: int,
) -> None:
    import uvicorn

    # The door is everybody's client here: what they say of proxies is not to be believed.
    common: dict[str, Any] = {"log_level": "warning", "access_log": False, "proxy_headers": False}
    limits: dict[str, Any] = {"ws_max_size": max_message_bytes}
    main = uvicorn.Server(
        uvicorn.Config(page, **common, **limits, ssl_certfile=certificate, ssl_keyfile=private_key)
    )
    # The page's one lifespan is the main server's.
    local = _quiet(uvicorn.Config(page, **common, **limits, lifespan="off"))
    plain = _quiet(uvicorn.Config(connect_page, **common, lifespan="off"))
    servers = (main, local, plain)
    sockets = [_loopback_listener() for _ in servers]
    door = Door(Rooms(*(s.getsockname()[1] for s in sockets)))
    entrances: list[asyncio.Server] = []

    async def open_when_ready() -> None:
        while not all(server.started for server in servers):
            await asyncio.sleep(0.02)
        entrances.extend([await asyncio.start_server(door.enter, sock=listener) for listener in listeners])

    helpers = [
        asyncio.create_task(server.serve([s])) for server, s in zip(servers[1:], sockets[1:], strict=True)
    ]
    helpers.append(asyncio.create_task(open_when_ready()))
    try:
        await main.serve([sockets[0]])
    finally:
        for entrance in entrances:
            entrance.close()
        local.should_exit = plain.should_exit = True
        helpers[-1].cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await door.close()


def _quiet(config: "uvicorn.Config") -> "uvicorn.Server":
    """A server that leaves Ctrl-C to the main one."""
    import uvicorn

    class Quiet(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Quiet(config)


def _loopback_listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener
