"""Serve the capture page.

    python -m capture_app models/demo/model.onnx --port 8501
    python -m capture_app models/demo/model.onnx --host lan

Opens and tries the model first, so that a page never starts without one. Torch-free.
"""

import errno
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from capture_app.connect.certificates import fingerprint
from capture_app.connect.routes import PhoneAccess, connect_app, connect_routes, qr_terminal
from capture_app.connect.way import ANY_ADDRESS, LAN, THIS_MACHINE, Way, own_pair, plan_way
from capture_app.server import MAX_MESSAGE_BYTES, create_app, served_model
from training.cli import run
from training.errors import UserError


@dataclass(frozen=True)
class Arguments:
    """Serve the capture page: photo by camera or upload, checks, ranked labels, heatmaps.

    The browser's camera works on this machine's own address, http://localhost, and over HTTPS. For phones of the
    same network, --host lan serves the page over HTTPS with a certificate made here, and shows a code that leads a
    phone through trusting it. With a certificate of your own, give --certificate and --private-key too. Behind a
    proxy that adds HTTPS, leave all of that out (docs/capture.md).
    """

    model: Annotated[Path, tyro.conf.Positional]
    """The model's file, written by `python -m export`."""
    host: str = THIS_MACHINE
    """Address to listen on; `lan` for this machine's private networks, over HTTPS; 0.0.0.0 for all networks."""
    port: int = 8501
    """Port to listen on."""
    certificate: Path | None = None
    """A TLS certificate of your own: PEM, the server's first, then the chain. Serves over HTTPS on --host."""
    private_key: Path | None = None
    """Its private key: PEM, without a password."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m capture_app", args=argv)
    way = plan_way(arguments.host, own_pair(arguments.certificate, arguments.private_key))
    with ExitStack() as listening:
        listeners: list[socket.socket] = []
        port = arguments.port
        for host in way.hosts:
            listeners.append(listening.enter_context(bind(host, port)))
            port = listeners[0].getsockname()[1]
        access = way.phone_access(port)
        app = create_app(arguments.model, connect_routes(access))
        classifier = served_model()
        print(f"model    {classifier.card.name} ({classifier.model_id[:12]}, {classifier.provider})")
        if classifier.card.synthetic:
            print("         learned from drawings: its answers about real photos mean nothing")
        print_way(way, access, port)
        if way.pair is not None:
            from capture_app.connect.door import serve

            serve(app, connect_app(access), listeners, *way.pair, max_message_bytes=MAX_MESSAGE_BYTES)
        else:
            import uvicorn

            uvicorn.Server(
                uvicorn.Config(app, log_level="warning", access_log=False, ws_max_size=MAX_MESSAGE_BYTES)
            ).run(sockets=listeners)
    return 0


def print_way(way: Way, access: PhoneAccess, port: int) -> None:
    """Say where the page is, and how a phone gets there."""
    if way.pair is None:
        (host,) = way.hosts
        shown = "localhost" if host in (*ANY_ADDRESS, THIS_MACHINE) else host
        print(f"page     http://{shown}:{port}  (Ctrl-C stops it)")
        print(f"camera   works at that address; for a phone's, start with --host {LAN}", flush=True)
        return
    if {THIS_MACHINE, *ANY_ADDRESS} & set(way.hosts):
        print(f"page     http://localhost:{port} on this machine  (Ctrl-C stops it)")
        print(f"         {access.address} elsewhere")
    else:
        print(f"page     {access.address}  (Ctrl-C stops it)")
    for other in access.others:
        print(f"         {other}")
    print(f"phone    in the same Wi-Fi, scan this code or open {access.first_address}")
    colours = sys.stdout.isatty()
    try:
        print(qr_terminal(access.first_address, colours=colours))
    except UnicodeEncodeError:
        print("         (this terminal cannot draw the code; it is on that page too)")
    if way.authority is not None:
        made = ", made just now: each phone must learn to trust it" if way.authority.made else ""
        print(f"trust    {way.authority.path}{made}")
        print(f"         SHA-256 {fingerprint(way.authority.certificate)}")
    if way.own is not None:
        print(f"trust    {way.own.certificate}, until {way.own.expires:%Y-%m-%d}")
    sys.stdout.flush()


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to the address.

    Raises:
        UserError: the port is taken, not a port, or not allowed, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"port is {port}; valid are 1 to 65535, and 0 for any free one.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror:
        listener.close()
        raise UserError(f"host '{host}' is not an address; try 127.0.0.1, 0.0.0.0 or lan.") from None
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} on {host} is in use; stop what listens there, or choose another, such as "
                f"--port {port + 1}."
            ) from None
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} may not be opened by this user; choose one above 1023.") from None
        raise UserError(
            f"host {host} cannot be listened on ({error.strerror}); try 127.0.0.1 or 0.0.0.0."
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(run(main))
