"""The kernel that is committed is the one that its source gives, and a browser gets the one that it can run."""

from collections.abc import Iterator
from typing import Any

import pytest

from capture_app.camera.build_kernel import HERE, PROCESSORS, build_kernel
from tests.capture_app.harness import browser, required_browser, serve_camera

LOADED = """async (known) => {
  WebAssembly.validate = (bytes) => known.includes(bytes.byteLength);
  const { loadKernel } = await import("/camera/kernel.js");
  const fetched = [];
  const plain = window.fetch;
  window.fetch = (url) => (fetched.push(String(url).split("/").pop()), plain(url));
  try {
    await loadKernel();
    return fetched;
  } catch (error) {
    return String(error);
  }
}"""


def test_compiling_again_gives_the_committed_bytes(tmp_path):
    """If it does not: `python -m capture_app.camera.build_kernel`, and commit what it writes."""
    built = build_kernel(tmp_path)
    assert [path.name for path in built] == list(PROCESSORS)
    for path in built:
        assert path.read_bytes() == (HERE / path.name).read_bytes(), path.name


@pytest.fixture
def page() -> Iterator[Any]:
    with serve_camera() as address, browser(required_browser(), None) as chromium:
        page = chromium.new_page()
        page.goto(address)
        yield page


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_gets_the_first_kernel_that_it_knows(page):
    with_simd, without = ((HERE / name).stat().st_size for name in PROCESSORS)
    assert page.evaluate(LOADED, [with_simd, without]) == ["kernel.simd.wasm"]
    page.reload()
    assert page.evaluate(LOADED, [without]) == ["kernel.simd.wasm", "kernel.wasm"]
    page.reload()
    assert "does not run" in page.evaluate(LOADED, [])
    answer = page.request.get(f"{page.url}camera/kernel.wasm")
    assert answer.headers["content-type"] == "application/wasm"
