"""The web application: the capture page, and beside it the camera's modules and /v1/health.

    uvicorn.run(create_app(Path("models/demo/model.onnx")), port=8501)

One process holds one model, opened once and shared by all sessions. Torch-free.
"""

import json
import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from capture_app.camera.files import camera_routes
from capture_app.connect.origin import SameOriginSockets
from export.runtime import Classifier
from training.errors import ModelFileError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from streamlit.starlette import App

MODEL_VARIABLE = "DERMCAPTURE_MODEL"
"""The environment variable that names the model's file to the page."""
PAGE = Path(__file__).with_name("page.py")
MAX_MESSAGE_BYTES = 25 * 1024 * 1024
"""Of the web socket, as in .streamlit/config.toml."""


def served_model() -> Classifier:
    """The model that this process serves, opened at the first call.

    Raises:
        ModelFileError: none is named, or its file cannot be used.
    """
    path = os.environ.get(MODEL_VARIABLE)
    if not path:
        raise ModelFileError(
            f"no model is named; start the page with: python -m capture_app MODEL, or set {MODEL_VARIABLE}."
        )
    return _open(path)


@cache
def _open(path: str) -> Classifier:
    classifier = Classifier(path)
    classifier.warm_up()
    return classifier


def create_app(model: Path, routes: "Sequence[BaseRoute]" = ()) -> "App":
    """The ASGI application.

    Args:
        model: an exported model; opened and tried here, so that a page never starts without one.
        routes: more to serve beside the page, such as /connect.

    Raises:
        ModelFileError: the file cannot be used.
    """
    from starlette.formparsers import MultiPartParser
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from streamlit.starlette import App

    os.environ[MODEL_VARIABLE] = str(model.resolve())
    classifier = served_model()
    health = {
        "status": "ok",
        "model": classifier.card.name,
        "model_id": classifier.model_id,
        "version": app_version(),
    }

    # Starlette lays uploads above 1 MB into a temporary file; the page promises that no photo touches a disk.
    MultiPartParser.spool_max_size = 2 * MAX_MESSAGE_BYTES

    async def answer_health(_request: Request) -> Response:
        return Response(json.dumps(health), media_type="application/json")

    return App(
        PAGE,
        routes=[Route("/v1/health", answer_health), *camera_routes(), *routes],
        middleware=[Middleware(SameOriginSockets)],
    )


def app_version() -> str:
    """This package's version, as installed."""
    try:
        return version("dermcapture")
    except PackageNotFoundError:
        return "not installed"
