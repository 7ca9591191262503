"""The guide's logic, guide.js, run in Chromium: which advice, for how long, and when the shutter fires."""

import base64
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest

from benchmarks.guidance_motion import motion_between, small_luma
from capture_app import quality
from capture_app.camera import LIMITS, camera_words
from capture_app.words import languages, words_in
from tests.capture_app.harness import browser, required_browser, serve_camera

pytestmark = pytest.mark.browser

FRAME_MS = 80
RUN = """
async ({ frames, limits, options }) => {
  const { begin, advance } = await import(new URL("camera/guide.js", document.baseURI));
  let state = begin(limits, options);
  return frames.map(([time_ms, findings]) => {
    state = advance(state, { time_ms, findings });
    const { advice, mode, progress, fire, announce } = state;
    return { time_ms, advice, mode, progress, fire, announce };
  });
}"""

Frames = list[tuple[float, list[dict[str, Any]]]]
Guide = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with serve_camera() as address, browser(required_browser(), None) as chromium:
        page = chromium.new_page()
        page.goto(address)
        yield page


@pytest.fixture(scope="module")
def guide(page: Any) -> Guide:
    """What the guide makes of frames, [time_ms, findings] each: its state after each."""
    limits = json.loads(LIMITS.read_text(encoding="utf-8"))["limits"]

    def run(frames: Frames, **options: Any) -> list[dict[str, Any]]:
        return page.evaluate(RUN, {"frames": frames, "limits": limits, "options": options})

    return run


def found(
    code: str, severity: str = "ok", *, measure: float = 0.0, towards: str | None = None
) -> dict[str, Any]:
    return {"code": code, "severity": severity, "measure": measure, "towards": towards}


GOOD = [found("off_centre"), found("too_dark", measure=-1.0), found("blurred", measure=1.0), found("moving")]


def stream(*parts: tuple[float, list[dict[str, Any]]], every_ms: float = FRAME_MS) -> Frames:
    """Each part's findings for so many seconds."""
    frames: Frames = []
    for seconds, findings in parts:
        frames += [((len(frames) + n) * every_ms, findings) for n in range(round(1000 * seconds / every_ms))]
    return frames


def shown(states: list[dict[str, Any]]) -> list[str | None]:
    """The advice's code in each state, runs of one taken together."""
    codes = [state["advice"] and state["advice"]["code"] for state in states]
    return [code for at, code in enumerate(codes) if at == 0 or code != codes[at - 1]]


def random_frames(seed: int) -> Frames:
    """Faults that come and go, at an uneven rate of frames."""
    rng = random.Random(seed)
    now, frames = 0.0, []
    faults = dict.fromkeys(("too_dark", "off_centre", "blurred", "moving", "cut_off"), 0.0)
    for _ in range(400):
        now += rng.choice([33, 60, 80, 80, 120, 400])
        for code in faults:
            if rng.random() < 0.06:
                faults[code] = rng.choice([0, 0, 0, 1, 2])
        findings = [
            found(code, ("ok", "advise", "block")[int(level)], towards=rng.choice(["left", "up", None]))
            for code, level in faults.items()
        ]
        frames.append((now, findings))
    return frames


def test_what_flickers_is_neither_shown_nor_taken(guide):
    dark = [found("too_dark", "advise", measure=9.0)]
    frames = [(n * FRAME_MS, dark if n % 2 else GOOD) for n in range(200)]
    states = guide(frames)
    assert shown(states) == [None]
    assert not any(state["fire"] for state in states)


@pytest.mark.parametrize("seed", range(6))
def test_no_advice_is_replaced_before_it_can_be_read(guide, seed):
    states = guide(random_frames(seed), auto=False)
    changes = [
        after["time_ms"]
        for before, after in itertools.pairwise(states)
        if before["advice"] != after["advice"]
    ]
    assert changes
    assert min(np.diff(changes), default=np.inf) >= 700


@pytest.mark.parametrize(
    ("findings", "first"),
    [
        ([found("blurred", "advise"), found("cut_off", "block")], "cut_off"),
        ([found("off_centre", "advise"), found("too_dark", "advise")], "too_dark"),
        ([found("off_centre", "block"), found("too_dark", "block")], "too_dark"),
        ([found("too_dark", "advise"), found("blurred", "block")], "blurred"),
        ([found("blurred", "advise"), found("moving", "advise")], "moving"),
        ([found("a_code_of_tomorrow", "advise")], "a_code_of_tomorrow"),
    ],
)
def test_the_worst_comes_first(guide, findings, first):
    assert shown(guide(stream((2, findings)))) == [None, first]


def test_what_becomes_worse_takes_over_and_hands_back(guide):
    blurred = [found("blurred", "advise", measure=0.16)]
    states = guide(
        stream((2, blurred), (2, [*blurred, found("too_dark", "block", measure=40.0)]), (2, blurred))
    )
    assert shown(states) == [None, "blurred", "too_dark", "blurred"]


def test_an_advice_leaves_only_once_its_limit_is_cleared_by_a_margin(guide):
    def after(measure: float) -> str | None:
        dark, better = found("too_dark", "advise", measure=9.0), found("too_dark", "ok", measure=measure)
        last = guide(stream((2, [dark]), (2, [better])))[-1]
        return last["advice"] and last["advice"]["code"]

    limit = quality.limits()["too_dark"].advise
    assert after(0.95 * limit) == "too_dark"
    assert after(0.85 * limit) is None


def test_a_direction_is_held_against_a_trembling_one(guide):
    frames = [
        (n * FRAME_MS, [found("off_centre", "advise", towards="left" if n % 3 else "up")]) for n in range(100)
    ]
    states = guide(frames)
    assert len({state["advice"]["towards"] for state in states if state["advice"]}) == 1
    turned = stream(
        (2, [found("off_centre", "advise", towards="left")]),
        (2, [found("off_centre", "advise", towards="up")]),
    )
    assert guide(turned)[-1]["advice"]["towards"] == "up"


@pytest.mark.parametrize("every_ms", [33, 80, 100])
def test_a_good_picture_is_taken_after_the_same_time_at_any_rate_of_frames(guide, every_ms):
    states = guide(stream((4, GOOD), every_ms=every_ms))
    fired = [state["time_ms"] for state in states if state["fire"]]
    assert len(fired) == 1
    assert 1300 <= fired[0] <= 1300 + 2 * every_ms
    assert states[-1]["mode"] == "fired"


@pytest.mark.parametrize("seed", range(6))
def test_the_shutter_fires_only_after_what_lasted_and_never_twice(guide, seed):
    frames = random_frames(seed) + [(10**6 + n * FRAME_MS, GOOD) for n in range(60)]
    states = guide(frames)
    fired = [at for at, state in enumerate(states) if state["fire"]]
    assert len(fired) == 1
    before = [findings for time, findings in frames if 0 <= states[fired[0]]["time_ms"] - time < 800]
    severities = [{finding["severity"] for finding in findings} for findings in before]
    assert not any("block" in some for some in severities)
    assert sum("advise" in some for some in severities) <= 0.25 * len(severities)
    assert severities[-1] == {"ok"}


def test_one_bad_frame_delays_the_shutter_and_a_block_starts_it_anew(guide):
    def fired(*bad: dict[str, Any]) -> float:
        frames = stream((4, GOOD))
        frames[14] = (frames[14][0], [*GOOD, *bad])
        return next(state["time_ms"] for state in guide(frames) if state["fire"])

    assert fired() < fired(found("glare", "advise")) < fired(found("glare", "block"))


def test_time_that_was_not_seen_does_not_count(guide):
    frames = [(0, GOOD), (80, GOOD), (160, GOOD), (20_000, GOOD), (40_000, GOOD)]
    assert not any(state["fire"] for state in guide(frames))


def test_with_auto_off_it_never_fires_and_still_says_that_it_is_good(guide):
    states = guide(stream((5, GOOD)), auto=False)
    assert not any(state["fire"] for state in states)
    assert {state["progress"] for state in states} == {0}
    assert states[-1]["mode"] == "good"


@pytest.mark.parametrize("seed", range(3))
def test_a_screen_reader_is_told_rarely_and_in_the_end_what_holds(guide, seed):
    frames = random_frames(seed)
    frames += [(frames[-1][0] + n * FRAME_MS, [found("blurred", "block")]) for n in range(1, 60)]
    states = guide(frames, auto=False)
    said = [(state["time_ms"], state["announce"]) for state in states if state["announce"]]
    assert min(np.diff([time for time, _ in said])) >= 2500
    assert said[-1][1]["code"] == "blurred"


MOTION = """
async ({ before, after, size, elapsed_ms }) => {
  const { motionBetween, smallLuma } = await import(new URL("camera/guide.js", document.baseURI));
  const bytes = (text) => Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
  const [a, b] = [before, after].map((text) => smallLuma(bytes(text), ...size));
  return motionBetween(a, b, elapsed_ms);
}"""


@pytest.mark.parametrize(("height", "width"), [(240, 320), (427, 240), (30, 40)])
def test_the_small_luma_is_the_mean_of_each_cell(page, height, width):
    rgb = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    rgba = np.dstack([rgb, np.full((height, width), 255, np.uint8)])
    found = page.evaluate(
        """async ([text, width, height]) => {
          const { smallLuma } = await import(new URL("camera/guide.js", document.baseURI));
          const rgba = Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
          return Array.from(smallLuma(rgba, width, height));
        }""",
        [base64.b64encode(rgba.tobytes()).decode(), width, height],
    )
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(small_luma(rgb))
    assert np.allclose(np.reshape(found, expected.shape), expected, atol=1e-4)


def test_motion_is_of_the_hand_not_of_the_exposure(page):
    rng = np.random.default_rng(0)
    scene = np.kron(rng.uniform(60, 190, (20, 20)), np.ones((12, 12)))

    def motion(before: np.ndarray, after: np.ndarray, elapsed_ms: float = 80) -> float:
        rgba = [
            base64.b64encode(
                np.repeat(frame.round().astype(np.uint8)[..., None], 4, axis=2).tobytes()
            ).decode()
            for frame in (before, after)
        ]
        arguments = {"before": rgba[0], "after": rgba[1], "size": [200, 200], "elapsed_ms": elapsed_ms}
        return page.evaluate(MOTION, arguments)

    still = scene[:200, :200]
    limit = quality.limits()["moving"].advise
    assert motion(still, still) == 0
    assert motion(still, still + 30) < 0.02
    assert motion(still, still + rng.normal(0, 4, still.shape)) < limit / 2
    moved = [motion(still, scene[shift : shift + 200, :200]) for shift in (1, 4, 10)]
    assert moved == sorted(moved)
    assert moved[-1] > limit
    assert motion(still, scene[4:204, :200], 40) == pytest.approx(2 * moved[1])


def test_motion_is_measured_alike_where_its_limit_is_set(page):
    rng = np.random.default_rng(1)
    before, after = (rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(2))
    after[:100] = before[:100] // 2
    rgba = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in (before, after)]
    texts = [base64.b64encode(frame.tobytes()).decode() for frame in rgba]
    found = page.evaluate(
        MOTION, {"before": texts[0], "after": texts[1], "size": [320, 240], "elapsed_ms": 100}
    )
    assert found == pytest.approx(motion_between(small_luma(before), small_luma(after)), rel=1e-4)


SEEN = """
async (pictures) => {
  const { lastSeen } = await import(new URL("camera/guide.js", document.baseURI));
  let last = null;
  return pictures.map(([time_ms, level]) => {
    last = lastSeen(last, Float32Array.from([level, 200, 50, 120]), time_ms);
    return last.motion;
  });
}"""


def test_a_picture_seen_twice_does_not_stand_still(page):
    """Checks that run faster than the camera look at the same picture again."""
    moving = [(60 * n, 100 + 50 * (n // 2 % 2)) for n in range(20)]
    assert min(page.evaluate(SEEN, moving)[2:]) > quality.limits()["moving"].advise
    assert page.evaluate(SEEN, [(60 * n, 100) for n in range(20)]) == [0] * 20
    stopped = page.evaluate(SEEN, moving + [(1200 + 60 * n, 100) for n in range(10)])
    assert stopped[-1] == 0


def test_the_front_camera_s_mirror_turns_left_and_right(page):
    turned = page.evaluate(
        "async () => { const { mirrored } = await import(new URL('camera/guide.js', document.baseURI));"
        "return ['left', 'up-right', 'down', null].map(mirrored); }"
    )
    assert turned == ["right", "up-left", "down", None]


SENTENCES = """
async ({ words, codes, directions }) => {
  const { sentence } = await import(new URL("camera/guide.js", document.baseURI));
  return codes.flatMap((code) => directions.map((towards) => [code, towards, sentence({ code, towards }, words)]));
}"""


@pytest.mark.parametrize("language", languages())
def test_the_viewfinder_says_what_is_said_of_the_photo(page, language):
    words = words_in(language)
    codes, directions = list(quality.limits()), [None, *get_args(quality.Direction)]
    arguments = {"words": camera_words(words), "codes": codes, "directions": directions}
    for code, towards, text in page.evaluate(SENTENCES, arguments):
        assert text == words.advice(code, towards)
