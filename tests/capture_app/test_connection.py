"""The page loses its server, says so in its own words, and goes on when the server is back."""

from pathlib import Path
from typing import Any

import pytest

from tests.capture_app.harness import (
    PHONE,
    WAIT_MS,
    browser,
    free_port,
    lesion_jpeg,
    required_browser,
    serve,
    upload,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def opened(chromium: Any, address: str) -> Any:
    page = chromium.new_context(**PHONE).new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    return page


def test_a_lost_server_is_told_gently_and_the_page_goes_on_when_it_is_back(
    tiny_model_two_heads: Path, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    with browser(required_browser(), None) as chromium:
        with serve(tiny_model_two_heads, log, port=port) as address:
            page = opened(chromium, address)
            page.get_by_text("Upload", exact=True).first.click()
            page.locator("input[type=file]").wait_for(state="attached")
            assert page.get_by_role("alert").count() == 0
        notice = page.get_by_role("alert").filter(has_text="No connection")
        notice.wait_for()
        assert "goes on by itself" in notice.inner_text()
        page.get_by_text("Is Streamlit still running?").wait_for(state="attached")
        assert not page.get_by_text("Is Streamlit still running?").is_visible()
        assert notice.is_visible()
        with serve(tiny_model_two_heads, log, port=port):
            notice.wait_for(state="detached")
            upload(page, "lesion.jpg", lesion_jpeg(size=320))
            page.locator(".dc-findings").wait_for()
