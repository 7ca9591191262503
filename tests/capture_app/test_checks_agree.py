"""The phone's live checks and the server's say the same of the same frame."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.guidance_defects import Defect, defects, draw_phantom
from capture_app import quality
from capture_app.camera.build_kernel import PROCESSORS
from capture_app.frame import Frame
from capture_app.locate import read_scene
from capture_app.locator import LOOKS, lesion_probability, open_network
from capture_app.quality import check_photo, measure_detail, measures_of
from tests.capture_app import check_vectors
from tests.capture_app.check_vectors import draw_frame
from tests.capture_app.harness import browser, required_browser, serve_camera

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOM = Path(quality.__file__).parent
N_FRAMES, VIEWS = 1000, 4
AGREE_ON = 0.98
TOLERANCE = {"rel": 1e-3, "abs": 2e-3}
BINARIES = list(PROCESSORS)
SIZES_HW = ((240, 320), (320, 240), (240, 240), (240, 480), (480, 240), (240, 427), (318, 240))


@pytest.fixture(scope="module")
def checker() -> Iterator[Any]:
    """A page where `check(binary, base64, width, height)` runs checks.js on RGB bytes; `look`, its first half.
    Both see them for four frames, as many as the locator's looks take."""
    with serve_camera() as address, browser(required_browser(), None) as chromium:
        page = chromium.new_page()
        page.goto(address)
        page.evaluate(
            """async ([limits, binaries, looks]) => {
              const { makeChecker } = await import("/camera/checks.js");
              const { makeSceneReader } = await import("/camera/scene.js");
              const { loadKernel } = await import("/camera/kernel.js");
              const { loadWeights } = await import("/camera/locator.js");
              const weights = await loadWeights();
              const [checks, kernels] = [{}, {}];
              for (const name of binaries) {
                kernels[name] = await loadKernel([name]);
                checks[name] = makeChecker(JSON.parse(limits), weights, kernels[name]);
              }
              const rgbaOf = (text, size) => {
                const rgb = Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
                const rgba = new Uint8ClampedArray(size * 4).fill(255);
                for (let at = 0; at < size; at += 1) rgba.set(rgb.subarray(3 * at, 3 * at + 3), 4 * at);
                return rgba;
              };
              window.check = (name, text, width, height) => {
                const rgba = rgbaOf(text, width * height);
                for (let frame = 1; frame < looks; frame += 1) checks[name](rgba, width, height);
                const start = performance.now();
                const found = checks[name](rgba, width, height);
                return { ...found, ms: performance.now() - start, bytes: kernels[name].memory.buffer.byteLength };
              };
              window.look = async (name, text, width, height, network = weights) => {
                const look = makeSceneReader(network, await loadKernel([name]));
                const rgba = rgbaOf(text, width * height);
                for (let frame = 1; frame < looks; frame += 1) look(rgba, width, height);
                return Array.from(look(rgba, width, height).probability);
              };
            }""",
            [(ROOM / "limits.json").read_text(encoding="utf-8"), BINARIES, len(LOOKS)],
        )
        yield page


def run_in_browser(
    page: Any, image_rgb: np.ndarray, binary: str = BINARIES[0], what: str = "check", *others: Any
) -> Any:
    height, width = image_rgb.shape[:2]
    text = base64.b64encode(np.ascontiguousarray(image_rgb).tobytes()).decode()
    how = [what, binary, text, width, height, *others]
    return page.evaluate("([what, ...how]) => window[what](...how)", how)


def frames() -> Iterator[np.ndarray]:
    """A thousand drawn frames, 320 by 240 or upright: every defect in turn, and none, each seen four times."""
    rng = np.random.default_rng(0)
    kinds: list[Defect | None] = [None, *defects()]
    for index in range(N_FRAMES // VIEWS):
        drawn = draw_phantom(17, index, kinds[index % len(kinds)]).rgb
        for view in range(VIEWS):
            side = 320 + 20 * view
            seen = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
            height, width = (320, 240) if view % 2 else (240, 320)
            y, x = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
            yield np.ascontiguousarray(seen[y : y + height, x : x + width])


def findings_of(image_rgb: np.ndarray) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in check_photo(image_rgb).findings]


def test_a_frame_of_the_working_size_is_taken_as_it_is():
    rgb = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    assert np.array_equal(Frame.of(rgb).rgb, rgb)


@pytest.mark.parametrize("binary", BINARIES)
def test_the_vectors_hold_in_both(checker, binary):
    """Fixed frames with what was found on them: a change of either side shows here, with its measure."""
    vectors = json.loads(check_vectors.FILE.read_text(encoding="utf-8"))
    told = {code for vector in vectors for code, _ in vector["findings"]}
    assert told >= {
        "too_dark",
        "too_bright",
        "uneven",
        "glare",
        "blurred",
        "off_centre",
        "focus",
        "illumination",
    }
    for vector in vectors:
        kind = Defect(*vector["defect"]) if vector["defect"] else None
        rgb = draw_frame(vector["index"], kind)
        expected = [tuple(pair) for pair in vector["findings"]]
        in_browser = run_in_browser(checker, rgb, binary)
        assert findings_of(rgb) == expected, vector
        assert [(found["code"], found["severity"]) for found in in_browser["findings"]] == expected, vector
        assert measures_of(read_scene(rgb)) == pytest.approx(vector["measures"], **TOLERANCE)


def frames_of_all_sizes() -> Iterator[np.ndarray]:
    for index, (height, width) in enumerate(SIZES_HW):
        drawn = draw_phantom(23, index, None).rgb
        side = max(height, width)
        seen = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
        y, x = (side - height) // 2, (side - width) // 2
        yield np.ascontiguousarray(seen[y : y + height, x : x + width])


@pytest.mark.parametrize("binary", BINARIES)
def test_the_network_and_the_detail_are_those_of_python(checker, binary):
    for rgb in frames_of_all_sizes():
        frame = Frame.of(rgb)
        expected = lesion_probability(frame)
        probability = run_in_browser(checker, rgb, binary, "look")
        assert np.abs(np.reshape(probability, expected.shape) - expected).max() < 1e-5
        detail = run_in_browser(checker, rgb, binary)["measures"]["detail"]
        assert detail == pytest.approx(measure_detail(frame.luma), rel=1e-5)


def test_four_frames_show_a_new_scene_without_the_one_before(checker):
    one, other = (draw_frame(index, None) for index in range(2))
    first, between, again = (run_in_browser(checker, rgb)["measures"] for rgb in (one, other, one))
    assert between != first
    assert again == first


@pytest.mark.parametrize("binary", BINARIES)
@pytest.mark.parametrize("widths", [(7, 5, 6, 9, 14), (8, 16, 24, 40, 68)])
def test_a_network_of_other_widths_is_run_as_python_runs_it(checker, binary, widths):
    weights = random_weights(*widths)
    network = open_network(weights)
    arrays = {
        name: {"shape": array.shape, "values": array.ravel().tolist()} for name, array in weights.items()
    }
    for rgb in list(frames_of_all_sizes())[::3]:
        expected = lesion_probability(Frame.of(rgb), network)
        found = np.array(run_in_browser(checker, rgb, binary, "look", arrays))
        assert expected.std() > 0.02
        assert np.abs(found.reshape(expected.shape) - expected).max() < 1e-5


def random_weights(stem: int, one: int, two: int, three: int, four: int) -> dict[str, np.ndarray]:
    """A locator of these widths whose answers are neither 0 nor 1."""
    rng = np.random.default_rng(0)
    blocks = [
        ("e1a", stem, one),
        ("e1b", one, one),
        ("e2a", one, two),
        ("e2b", two, two),
        ("e3a", two, three),
        ("e3b", three, three),
    ]
    blocks += [
        ("e4a", three, four),
        ("e4b", four, four),
        ("f3", three, three),
        ("f2", two, two),
        ("f1", one, one),
        ("f0", stem, stem),
    ]
    mixes = [("u3", four, three), ("u2", three, two), ("u1", two, one), ("u0", one, stem)]
    mixes += [("gate", four, four), ("out", stem, 1)]
    shapes = {"stem": (stem, 3, 3, 3)}
    shapes |= {f"{name}_depth": (inputs, 3, 3) for name, inputs, _ in blocks}
    shapes |= {name: (outputs, inputs) for name, inputs, outputs in blocks + mixes}
    shapes |= {f"{name}_bias": shape[:1] for name, shape in shapes.items() if not name.endswith("_depth")}
    weights = {
        name: rng.normal(0, np.sqrt(2 / max(1, np.prod(shape[1:]))), shape).astype(np.float32) * 0.85
        for name, shape in shapes.items()
    }
    return weights | {"out_bias": np.zeros(1, np.float32)}


def test_memory_stays_as_large_as_the_largest_frame_needs(checker):
    """Whichever sizes come after each other; and what a larger frame left in it changes nothing."""
    frames = list(frames_of_all_sizes())
    first = [run_in_browser(checker, rgb) for rgb in frames]
    again = [run_in_browser(checker, rgb) for _ in range(3) for rgb in frames[::-1]][-len(frames) :][::-1]
    assert {found["bytes"] for found in again} == {max(found["bytes"] for found in first)}
    assert [found["measures"] for found in again] == [found["measures"] for found in first]


def test_a_thousand_frames_are_judged_alike(checker):
    alike, times = 0, []
    for rgb in frames():
        found = run_in_browser(checker, rgb)
        times.append(found["ms"])
        alike += [(one["code"], one["severity"]) for one in found["findings"]] == findings_of(rgb)
    print(f"{alike} of {len(times)} frames alike; a check took {np.median(times):.1f} ms (median)")
    assert len(times) == N_FRAMES
    assert alike >= AGREE_ON * N_FRAMES
