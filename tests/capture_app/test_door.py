"""One port for HTTPS and HTTP, the /connect page's routes, and what the command line says about them."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from ipaddress import IPv4Address
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture_app.connect.authority import open_authority, open_leaf
from capture_app.connect.door import TLS_HANDSHAKE, Door, Rooms
from capture_app.connect.origin import SameOriginSockets, is_same_origin
from capture_app.connect.routes import PhoneAccess, connect_app, qr_terminal, read_texts, render
from tests.capture_app.harness import ROOT, START_SECONDS

NAMES = ["clinic", "clinic.local"]


@pytest.fixture
def access(tmp_path: Path) -> PhoneAccess:
    authority = open_authority(tmp_path, names=NAMES)
    return PhoneAccess("https://192.168.7.20:8501", ("https://10.0.0.4:8501",), authority.certificate)


def test_the_first_byte_and_where_it_comes_from_choose_the_room():
    rooms = Rooms(tls=1, local=2, plain=3)
    assert rooms.behind(TLS_HANDSHAKE, from_this_machine=False) == 1
    assert rooms.behind(TLS_HANDSHAKE, from_this_machine=True) == 1
    assert rooms.behind(b"G", from_this_machine=True) == 2
    assert rooms.behind(b"G", from_this_machine=False) == 3


def test_the_door_passes_every_byte_both_ways_and_ends_both_directions():
    sent = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8).tobytes()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(50_000):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def scenario() -> bytes:
        room = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = room.sockets[0].getsockname()[1]
        door = Door(Rooms(port, port, port))
        entrance = await asyncio.start_server(door.enter, "127.0.0.1", 0)
        address = entrance.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)

        async def send() -> None:
            writer.write(sent)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.create_task(send())
        got = await asyncio.wait_for(reader.read(-1), 30)
        await sending
        writer.close()
        silent = [await asyncio.open_connection(*address) for _ in range(3)]
        entrance.close()
        await asyncio.wait_for(door.close(), 5)
        for silent_reader, silent_writer in silent:
            assert await asyncio.wait_for(silent_reader.read(-1), 5) == b""
            silent_writer.close()
        room.close()
        return got

    assert asyncio.run(scenario()) == sent


def test_a_room_that_is_gone_ends_the_connection_quietly(caplog):
    async def scenario() -> bytes:
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        door = Door(Rooms(port, port, port))
        entrance = await asyncio.start_server(door.enter, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*entrance.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.read(-1), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            entrance.close()

    assert asyncio.run(scenario()) == b""
    assert caplog.records == []


def get(app, path: str) -> tuple[int, dict[str, str], bytes]:
    """One GET of an ASGI application: status, headers, body."""
    messages = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [],
    }
    asyncio.run(app(scope, receive, send))
    start, *rest = messages
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], fields, b"".join(message.get("body", b"") for message in rest)


def test_plain_http_gives_the_connect_page_its_downloads_and_nothing_else(access):
    app = connect_app(access)
    status, fields, page = get(app, "/connect")
    assert status == 200
    assert "default-src 'none'" in fields["content-security-policy"]
    _, fields, certificate = get(app, "/connect/dermcapture.crt")
    assert fields["content-type"] == "application/x-x509-ca-cert"
    assert certificate[:1] == b"\x30"  # DER, not PEM: Android's installer takes no other.
    _, fields, profile = get(app, "/connect/dermcapture.mobileconfig")
    assert fields["content-type"] == "application/x-apple-aspen-config"
    assert "attachment" in fields["content-disposition"]
    for path in ("/", "/v1/health", "/_stcore/health", "/connect/authority.pem", "/connect/../page.pem"):
        status, fields, _ = get(app, path)
        assert (status, fields["location"]) == (307, "/connect"), path
    assert b"PRIVATE" not in page + certificate + profile


def test_the_page_says_what_belongs_to_its_case(access):
    with_authority, policy = render(access)
    assert "dermcapture on clinic" in with_authority
    assert "http://192.168.7.20:8501/connect" in with_authority
    assert "http://10.0.0.4:8501/connect" in with_authority
    assert "clinic, clinic.local" in with_authority
    assert "port 8501" in with_authority
    own, _ = render(PhoneAccess("https://derm.example.org"))
    assert "https://derm.example.org/connect" in own
    assert "port 443" in own
    assert 'id="ios"' not in own
    local, _ = render(PhoneAccess())
    assert "--host lan" in local
    assert "<svg" not in local
    for html in (with_authority, own, local):
        assert not any(f"{{{name}}}" in html.split("<script")[0] for name in ("name", "port", "address"))
        assert html.count("<h1") == 1
        assert '<html lang="en">' in html
        assert "https://" not in html.split("</style>")[1].split("<script")[0].replace(
            "https://derm.example.org", ""
        )
    assert policy.count("'sha256-") == 2


def test_every_text_that_the_script_says_is_there():
    script = (ROOT / "capture_app/connect/connect.js").read_text()
    texts = read_texts()
    said = set(re.findall(r'"((?:trust|camera|socket|ready|word)_\w+|go_on|open)"', script))
    assert said
    assert said <= set(texts)
    assert {f"word_{state}" for state in ("wait", "ok", "advise", "block")} <= set(texts)


def test_the_script_opens_the_websocket_as_the_page_does():
    from streamlit.proto.BackMsg_pb2 import BackMsg

    html, _ = render(PhoneAccess())
    setup = json.loads(html.split('id="setup">')[1].split("</script>")[0])
    message = BackMsg()
    message.ParseFromString(bytes(setup["first_message"]))
    assert message.WhichOneof("type") == "rerun_script"


@pytest.mark.parametrize("text", ["http://192.168.100.200:8501/connect", "https://derm.example.org/connect"])
def test_a_camera_reads_the_terminals_code(text):
    """The half blocks drawn as pixels, light for a block, as on a dark terminal."""
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    lines = qr_terminal(text, colours=False).splitlines()
    rows = [[halves[c][half] for c in line] for line in lines for half in (0, 1)]
    drawn = np.kron(np.array(rows, np.uint8) * 255, np.ones((8, 8), np.uint8))
    assert cv2.QRCodeDetector().detectAndDecode(drawn)[0] == text
    assert all(line.startswith("\033[97;40m") for line in qr_terminal(text, colours=True).splitlines())


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in values.items()]


def test_another_origins_web_socket_is_refused_before_streamlit_sees_it():
    assert is_same_origin(headers(host="a:8501", origin="https://a:8501"))
    assert is_same_origin(headers(host="a:8501"))
    for origin in ("https://evil.example", "https://a", "http://[", "null", "https://b@a:8501"):
        assert not is_same_origin(headers(host="a:8501", origin=origin)), origin
    seen, sent = [], []

    async def inner(scope, receive, send) -> None:
        seen.append(scope["type"])

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    guard = SameOriginSockets(inner)
    foreign = headers(host="a:8501", origin="https://evil.example")
    asyncio.run(guard({"type": "websocket", "headers": foreign}, receive, send))
    assert (seen, sent) == ([], [{"type": "websocket.close", "code": 1008}])
    asyncio.run(guard({"type": "http", "headers": foreign}, receive, send))
    assert seen == ["http"]


def start(model: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "capture_app", str(model), "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", **environment},
        # A shell that runs the tests in the background ignores Ctrl-C, and so would all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def health(address: str, context: ssl.SSLContext | None) -> str:
    """What /v1/health says, once the server listens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v1/health", timeout=20, context=context) as answer:
                return json.load(answer)["status"]
        except urllib.error.URLError as error:
            if time.monotonic() > deadline or not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.2)


@pytest.mark.slow
def test_with_ones_own_certificate_tls_and_this_machine_get_the_page(tiny_model, tmp_path):
    authority = open_authority(tmp_path / "kept", names=NAMES)
    pem = open_leaf(tmp_path / "kept", authority, [IPv4Address("192.168.7.20")], names=NAMES).path
    server = start(
        tiny_model, "--certificate", str(pem), "--private-key", str(pem), XDG_DATA_HOME=str(tmp_path)
    )
    try:
        said = io.StringIO()
        while server.stdout is not None and "trust " not in (line := server.stdout.readline()):
            assert line, server.stderr.read() if server.stderr else ""
            said.write(line)
        port = re.search(r"http://localhost:(\d+) on this machine", said.getvalue())[1]
        assert f"open https://clinic:{port}/connect" in said.getvalue()
        assert "█" in said.getvalue()
        trusting = ssl.create_default_context(cadata=_authority_pem(authority))
        assert health(f"https://127.0.0.1:{port}", trusting) == "ok"
        assert health(f"http://127.0.0.1:{port}", None) == "ok"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"https://127.0.0.1:{port}", context=ssl.create_default_context())
        assert not (tmp_path / "dermcapture").exists()
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors
    assert server.returncode == 130


def _authority_pem(authority) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return authority.certificate.public_bytes(Encoding.PEM).decode("ascii")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--certificate", "none.pem", "--private-key", "none.pem"), "none.pem is not there"),
        (("--certificate", "none.pem"), "without --private-key"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_a_certificate(tmp_path, options, sentence):
    done = start(tmp_path / "model.onnx", *options)
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 2
    assert errors.startswith("error: ")
    assert sentence in errors
    assert "Traceback" not in errors


def test_lan_without_a_network_ends_in_a_sentence(monkeypatch, tmp_path):
    from capture_app.connect import addresses
    from capture_app.connect.way import plan_way
    from training.errors import UserError

    monkeypatch.setattr(addresses, "interface_addresses", lambda: [("lo", IPv4Address("127.0.0.1"))])
    monkeypatch.setattr(addresses, "default_address", lambda: None)
    with pytest.raises(UserError, match="no network that a phone could share"):
        plan_way("lan", None, folder=tmp_path)
    monkeypatch.setattr(addresses, "interface_addresses", lambda: [("wlan0", IPv4Address("192.168.1.9"))])
    way = plan_way("lan", None, folder=tmp_path)
    assert way.hosts == ("127.0.0.1", "192.168.1.9")
    assert way.phone_access(8501).first_address == "http://192.168.1.9:8501/connect"
