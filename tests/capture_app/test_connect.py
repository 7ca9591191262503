"""Headless Chromium at phone size on /connect: untrusted, trusted, and with a websocket that fails in each way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from capture_app.connect.addresses import lan_addresses
from tests.capture_app.harness import PHONE, browser, lesion_jpeg, required_browser, serve, write_fake_camera
from training.errors import UserError

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT_MS = 60_000
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    executable = required_browser()
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "lesion.mjpeg", lesion_jpeg())
    with browser(executable, camera) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def local(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page as it is served on this machine alone."""
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def lan(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A phone's host and port, served with --host lan."""
    try:
        host = lan_addresses()[0]
    except UserError:
        pytest.skip("this machine is in no private network to serve phones on")
    folder = tmp_path_factory.mktemp("lan")
    environment = {"XDG_DATA_HOME": str(folder / "data")}
    with serve(tiny_model_two_heads, folder / "log", "--host", "lan", environment=environment) as address:
        yield f"{host}:{urlsplit(address).port}"


@contextmanager
def opened(chromium: Any, address: str, **options: Any) -> Iterator[Any]:
    context = chromium.new_context(**{**PHONE, **options})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if "Security Policy" in m.text else None)
    page.goto(address)
    yield page
    assert complaints == []
    context.close()


def checked(page: Any) -> dict[str, tuple[str, str]]:
    """Each visible check's word and sentence, once all are done."""
    page.wait_for_function("() => !document.getElementById('again').disabled")
    rows = page.locator(".dc-findings li:visible").all()
    return {
        row.get_attribute("id"): (row.locator("em").inner_text(), row.locator("p").inner_text())
        for row in rows
    }


def test_an_untrusting_phone_is_led_by_plain_http_to_the_steps_of_its_kind(chromium, lan):
    with opened(chromium, f"http://{lan}/", user_agent=IPHONE) as page:
        assert page.url == f"http://{lan}/connect"
        found = checked(page)
        assert found.keys() == {"trust"}
        assert found["trust"][0] == "Not yet"
        assert not page.locator("#go").is_visible()
        assert page.locator("#ios .steps li").first.is_visible()
        assert not page.locator("#android .steps li").first.is_visible()
        with page.expect_download() as download:
            page.locator("#ios .get").click()
        assert download.value.suggested_filename == "dermcapture.mobileconfig"
        width = page.evaluate("() => document.scrollingElement.scrollWidth")
        assert width == 390


def test_a_phone_that_trusts_goes_from_plain_http_to_a_photo_over_tls(chromium, lan):
    with opened(chromium, f"http://{lan}/connect", ignore_https_errors=True) as page:
        assert checked(page)["trust"][0] == "Good"
        page.get_by_role("link", name="Go on to the secure page").click()
        page.wait_for_url(f"https://{lan}/connect")
        assert {word for word, _ in checked(page).values()} == {"Good"}
        assert "websocket answered in" in checked(page)["socket"][1]
        assert page.get_by_role("heading", level=1).inner_text() == "Everything is ready"
        page.get_by_role("link", name="Open the camera page").click()
        page.wait_for_url(f"https://{lan}/")
        page.get_by_role("button", name="Open the camera").click()
        page.get_by_role("button", name="Take the photo").click()
        page.locator(".dc-findings li").nth(2).wait_for()


def test_an_iphone_whose_websocket_is_refused_is_sent_to_the_second_switch(chromium, lan):
    options = {"ignore_https_errors": True, "user_agent": IPHONE}
    with opened(chromium, "about:blank", **options) as page:
        # A path where no websocket listens: the server refuses it, as a filter would.
        page.add_init_script(
            "const Real = WebSocket; window.WebSocket = class extends Real {"
            "constructor(url, protocols) { super(url.replace('_stcore/stream', 'nothing'), protocols); } };"
        )
        page.goto(f"https://{lan}/connect")
        word, sentence = checked(page)["socket"]
        assert word == "Does not work"
        assert "step 4 for the iPhone" in sentence
        assert not page.locator("#go").is_visible()


def test_on_this_machine_all_is_good_and_the_way_to_phones_is_said(chromium, local):
    with opened(chromium, f"{local}/connect") as page:
        assert {word for word, _ in checked(page).values()} == {"Good"}
        assert page.get_by_text("--host lan").is_visible()
        assert page.locator("#ios").count() == 0


def test_a_proxy_that_does_not_pass_websockets_is_named(chromium, local):
    with (
        proxy_without_websockets(urlsplit(local).port) as port,
        opened(chromium, f"http://localhost:{port}/connect") as page,
    ):
        word, sentence = checked(page)["socket"]
        assert word == "Does not work"
        assert "proxy that does not pass websockets" in sentence
        assert not page.locator("#go").is_visible()


@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        (lambda route: None, "nothing came back within 8 seconds"),
        (
            lambda route: route.on_message(lambda _message: route.close(code=4001)),
            "closed again (code 4001)",
        ),
    ],
)
def test_a_websocket_that_opens_in_vain_says_how(chromium, local, behave, sentence):
    with opened(chromium, "about:blank") as page:
        page.route_web_socket("**/_stcore/stream", behave)
        page.goto(f"{local}/connect")
        word, said = checked(page)["socket"]
        assert word == "Does not work"
        assert sentence in said


def test_a_server_that_stopped_is_told_from_a_websocket_that_failed(chromium, local):
    with opened(chromium, f"{local}/connect") as page:
        assert checked(page)["socket"][0] == "Good"
        page.context.set_offline(True)
        page.get_by_role("button", name="Check again").click()
        assert "no longer answers" in checked(page)["socket"][1]
        assert page.get_by_role("heading", level=1).inner_text() == "Connect your phone"
        page.context.set_offline(False)
        page.get_by_role("button", name="Check again").click()
        assert checked(page)["socket"][0] == "Good"


@contextmanager
def proxy_without_websockets(port: int) -> Iterator[int]:
    """A proxy on loopback that drops the Upgrade header, as many do unless they are told otherwise; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk.replace(b"\r\nUpgrade: websocket", b"\r\nX-Dropped: websocket"))
        except OSError:
            return
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        while True:
            try:
                guest, _ = listener.accept()
            except OSError:
                return
            host = socket.create_connection(("127.0.0.1", port))
            ends.extend((guest, host))
            for pair in ((guest, host), (host, guest)):
                threads.append(threading.Thread(target=pump, args=pair, daemon=True))
                threads[-1].start()

    ends: list[socket.socket] = []
    threads = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            end.close()
        for thread in threads:
            thread.join(timeout=5)
