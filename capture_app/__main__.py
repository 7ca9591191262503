"""Serve the capture page.

    python -m capture_app models/demo/model.onnx --port 8501

Opens and tries the model first, so that a page never starts without one. Torch-free.
"""

import errno
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from capture_app.server import MAX_MESSAGE_BYTES, create_app, served_model
from training.cli import run
from training.errors import UserError

ANY_ADDRESS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Arguments:
    """Serve the capture page: photo by camera or upload, checks, ranked labels, heatmaps.

    The browser's camera works on this machine's own address, http://localhost. A phone that reaches the page over
    the network needs HTTPS for it, for example through a proxy that adds it; its upload, which opens the phone's
    own camera, works without.
    """

    model: Annotated[Path, tyro.conf.Positional]
    """The model's file, written by `python -m export`."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines of the network in."""
    port: int = 8501
    """Port to listen on."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m capture_app", args=argv)
    listener = bind(arguments.host, arguments.port)
    with listener:
        app = create_app(arguments.model)
        classifier = served_model()
        shown = "localhost" if arguments.host in (*ANY_ADDRESS, "127.0.0.1") else arguments.host
        print(f"model    {classifier.card.name} ({classifier.model_id[:12]}, {classifier.provider})")
        if classifier.card.synthetic:
            print("         learned from drawings: its answers about real photos mean nothing")
        print(f"page     http://{shown}:{listener.getsockname()[1]}  (Ctrl-C stops it)")
        print("camera   works at that address; from a phone it needs HTTPS, the upload does not", flush=True)

        import uvicorn

        uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, ws_max_size=MAX_MESSAGE_BYTES)
        ).run(sockets=[listener])
    return 0


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
        raise UserError(f"host '{host}' is not an address; try 127.0.0.1 or 0.0.0.0.") from None
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
