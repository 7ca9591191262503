"""Web sockets for this page's own scripts only.

    App(PAGE, middleware=[Middleware(SameOriginSockets)])

Streamlit compares an origin that is not the host's with this machine's public address, for which it asks a server
on the internet while everyone waits (streamlit.net_util.get_external_ip, 1.67). The page asks nobody, so another
origin is refused before. Torch-free.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
POLICY_VIOLATION = 1008


class SameOriginSockets:
    """ASGI middleware: a browser's web socket is let through if its Origin is the Host that it asks."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not is_same_origin(scope["headers"]):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        await self.app(scope, receive, send)


def is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes from the host that it asks, or not from a browser (which always says where from)."""
    values = {name.lower(): value.decode("latin-1") for name, value in headers}
    origin = values.get(b"origin")
    return origin is None or origin.partition("://")[2] == values.get(b"host")
