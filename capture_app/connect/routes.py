"""The /connect page: how a phone learns to trust the computer, and whether all that the page needs comes through.

    routes = connect_routes(PhoneAccess("https://192.168.1.20:8501", authority=authority.certificate))

Every text is in `texts.json`, the look in `connect.css` after the page's own `style.css`, the checks in
`connect.js`. The page names nothing outside itself, and says so to the browser (Content-Security-Policy).
Torch-free.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from capture_app.connect.certificates import common_name, fingerprint, ios_profile, vouched_names

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.routing import Route

HERE = Path(__file__).parent
ANDROID_FILE, IOS_FILE = "dermcapture.crt", "dermcapture.mobileconfig"
CHECKS = ("trust", "camera", "socket")
SCRIPT_TEXTS = ("go_on", "open")
SCRIPT_PREFIXES = ("ready_", "word_", "trust_", "camera_", "socket_")


@dataclass(frozen=True)
class PhoneAccess:
    """How phones come in; with no address, not at all."""

    address: str = ""
    """The page over HTTPS, without a path: https://192.168.1.20:8501."""
    others: tuple[str, ...] = ()
    """The same by this machine's other networks."""
    authority: x509.Certificate | None = None
    """The local authority that vouches for it, None with a certificate of the user's own."""

    @property
    def first_address(self) -> str:
        """What a phone opens first: with a local authority over plain HTTP, since it trusts nothing yet."""
        return first_address(self.address, self.authority)

    @property
    def mode(self) -> str:
        """What the checks go by: local, own or authority."""
        if not self.address:
            return "local"
        return "own" if self.authority is None else "authority"


def first_address(address: str, authority: x509.Certificate | None) -> str:
    """/connect at an address, over plain HTTP where the certificate is a local authority's."""
    page = f"{address}/connect"
    return page if authority is None else page.replace("https://", "http://", 1)


def connect_routes(access: PhoneAccess) -> "list[Route]":
    """/connect and, with a local authority, its certificate as the two kinds of phone install it."""
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def route(path: str, content: bytes, media_type: str, headers: dict[str, str]) -> Route:
        async def answer(_request: Request) -> Response:
            return Response(
                content,
                media_type=media_type,
                headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers},
            )

        return Route(path, answer)

    page, policy = render(access)
    routes = [
        route(
            "/connect",
            page.encode(),
            "text/html",
            {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
        )
    ]
    if access.authority is not None:
        der = access.authority.public_bytes(serialization.Encoding.DER)
        for name, content, kind in (
            (ANDROID_FILE, der, "application/x-x509-ca-cert"),
            (IOS_FILE, ios_profile(access.authority), "application/x-apple-aspen-config"),
        ):
            disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
            routes.append(route(f"/connect/{name}", content, kind, disposition))
    return routes


def connect_app(access: PhoneAccess) -> "Starlette":
    """What anyone gets over plain HTTP: these routes, and from every other path the way to them."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import RedirectResponse, Response
    from starlette.routing import Route

    async def lead_to_connect(_request: Request) -> Response:
        return RedirectResponse("/connect", status_code=307, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[*connect_routes(access), Route("/{path:path}", lead_to_connect)])


def render(access: PhoneAccess) -> tuple[str, str]:
    """The page's HTML and its Content-Security-Policy."""
    texts = read_texts()
    style = HERE.with_name("style.css").read_text(encoding="utf-8") + _read("connect.css")
    script = _read("connect.js")
    for_script = {
        key: text
        for key, text in texts.items()
        if key in SCRIPT_TEXTS or (key.startswith(SCRIPT_PREFIXES) and isinstance(text, str))
    }
    setup = {"mode": access.mode, "first_message": list(_first_message()), "texts": for_script}
    with_steps = access.mode == "authority"
    html = Template(_read("connect.html")).substitute(
        {key: text for key, text in texts.items() if isinstance(text, str)},
        lang="en",
        style=style,
        script=script,
        lede=texts["lede" if with_steps else "lede_own"],
        gentle=f'<p class="dc-gentle" id="gentle">{texts["gentle"]}</p>' if with_steps else "",
        checks="".join(_check(check, texts) for check in CHECKS),
        code=_code_card(access, texts),
        body=_body(access, texts) if access.address else "",
        # "<" could end the script element.
        setup=json.dumps(setup, ensure_ascii=False).replace("<", "\\u003c"),
    )
    policy = (
        "default-src 'none'; connect-src 'self' https: wss:; img-src data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    )
    return html, policy


@cache
def read_texts() -> dict[str, Any]:
    """The page's texts by key: HTML sentences, or lists of them, with {names} of what is put in."""
    texts: dict[str, Any] = json.loads(_read("texts.json"))
    return texts


def qr_svg(text: str) -> str:
    """A QR code as an SVG element, dark on light in either colour scheme."""
    import segno

    return str(segno.make(text, micro=False).svg_inline(dark="#17211f", light="#ffffff", omitsize=True))


def qr_terminal(text: str, *, colours: bool) -> str:
    """A QR code as lines of half blocks.

    Args:
        text: what it says.
        colours: whether the terminal takes ANSI colours; without, it must show light text on dark.
    """
    import io

    import segno

    out = io.StringIO()
    segno.make(text, micro=False).terminal(out=out, compact=True)
    lines = out.getvalue().splitlines()
    return "\n".join(f"\033[97;40m{line}\033[0m" if colours else line for line in lines)


def _check(check: str, texts: dict[str, Any]) -> str:
    return (
        f'<li class="dc-wait" id="{check}"><i></i><div><b>{texts[f"check_{check}"]}</b> '
        f"<em>{texts['word_wait']}</em><p></p></div></li>"
    )


def _code_card(access: PhoneAccess, texts: dict[str, Any]) -> str:
    if not access.address:
        return (
            f'<section class="card" id="no-code"><h2>{texts["no_code_heading"]}</h2>'
            f'<p class="note">{texts["no_code"]}</p></section>'
        )
    steps = _items(texts["code_steps"])
    return (
        f'<section class="card code wide"><h2>{texts["code_heading"]}</h2>'
        f'<ol class="plain">{steps}</ol>{_code(access, texts)}</section>'
    )


def _code(access: PhoneAccess, texts: dict[str, Any]) -> str:
    address = escape(access.first_address)
    label = texts["code_alt"].format(address=address)
    others = ", ".join(escape(first_address(other, access.authority)) for other in access.others)
    small = f"<small>{texts['code_others'].format(addresses=others)}</small>" if others else ""
    return (
        f'<div role="img" aria-label="{label}">{qr_svg(access.first_address)}</div>'
        f'<p class="address">{address}{small}</p>'
    )


def _body(access: PhoneAccess, texts: dict[str, Any]) -> str:
    port = access.address.rsplit(":", 1)[-1]
    port = port if port.isdigit() else "443"
    help_list = f'<ul class="plain">{_items(texts["help"][:1], port=port)}</ul>'
    parts = []
    if access.authority is not None:
        name = escape(common_name(access.authority))
        parts.append(
            f'<section aria-labelledby="steps-heading"><h2 id="steps-heading">{texts["steps_heading"]}</h2>'
            + _phone("ios", IOS_FILE, name, texts)
            + _phone("android", ANDROID_FILE, name, texts)
            + "</section>"
        )
        hosts = sorted(vouched_names(access.authority) - {"localhost"}) or ["localhost"]
        limits = texts["limits"].format(
            name=name,
            names=", ".join(map(escape, hosts)),
            until=f"{access.authority.not_valid_after_utc:%Y-%m-%d}",
        )
        known = f'<p class="print"><code>{fingerprint(access.authority)}</code></p>'
        removal = f'<ul class="plain">{_items(texts["remove"], name=name)}</ul>'
        help_list = f'<ul class="plain">{_items(texts["help"], port=port)}</ul>'
        parts.append(
            "<div>"
            + _more(texts["same_heading"], f"<p>{texts['same']}</p>{known}")
            + _more(texts["limits_heading"], f"<p>{limits}</p>{removal}")
            + _more(texts["help_heading"], help_list)
            + _more(texts["code_more"], f'<div class="code">{_code(access, texts)}</div>', kind="narrow")
            + "</div>"
        )
    else:
        parts.append(_more(texts["help_heading"], help_list))
    return "".join(parts)


def _phone(kind: str, file: str, name: str, texts: dict[str, Any]) -> str:
    button = f'<a class="get" href="connect/{file}" download>{texts[f"{kind}_download"]}</a>'
    first, *rest = (step.format(name=name) for step in texts[f"{kind}_steps"])
    steps = f"<li>{first}{button}</li>" + "".join(f"<li>{step}</li>" for step in rest)
    return (
        f'<details id="{kind}" open><summary><h3>{texts[f"{kind}_heading"]}</h3></summary><div class="inside">'
        f'<p class="note">{texts[f"{kind}_note"]}</p><ol class="steps">{steps}</ol></div></details>'
    )


def _more(heading: str, inside: str, *, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return (
        f"<details{attribute}><summary><h2>{heading}</h2></summary>"
        f'<div class="inside">{inside}</div></details>'
    )


def _items(texts: list[str], **values: str) -> str:
    return "".join(f"<li>{text.format(**values)}</li>" for text in texts)


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _first_message() -> bytes:
    """What the page's websocket sends first: a run of the script, asked for by nobody's widgets yet."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ClientState_pb2 import ClientState

    return BackMsg(rerun_script=ClientState()).SerializeToString()
