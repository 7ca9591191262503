"""The camera's modules over HTTP, so that a worker can load the same files as the page.

    App(PAGE, routes=camera_routes())          # camera/guide.js, camera/worker.js, ...

The component's own text runs from a blob and cannot import its neighbours; it asks for them here, below the page's
address, and so does the worker for the kernel and the locator's weights. Torch-free.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

HERE = Path(__file__).parent
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""Asked for anew at each opening and answered by 304: an update never meets yesterday's half of itself."""

TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".safetensors": "application/octet-stream"}


def camera_routes() -> "list[BaseRoute]":
    """The routes of the modules, whatever path the page lies below.

    Streamlit's option `server.baseUrlPath` is not asked: read before the page's own configuration is, it would
    leave that unread.
    """
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response
    from starlette.routing import Route

    modules = {
        path.name: path
        for path in (*HERE.glob("*.js"), *HERE.glob("*.wasm"), HERE.parent / "locator.safetensors")
    }

    async def give_module(request: Request) -> Response:
        path = modules.get(request.path_params["name"])
        if path is None:
            return Response("no such module", status_code=404, media_type="text/plain")
        answer = FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS, stat_result=path.stat())
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(status_code=304, headers={**HEADERS, "ETag": answer.headers["etag"]})
        return answer

    return [Route(f"{below}/camera/{{name}}", give_module) for below in ("", "/{below:path}")]
