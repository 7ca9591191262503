"""The live check's benchmark: what it times, and what it makes of the times."""

import json

import numpy as np
import pytest

from benchmarks.live_check import BINARIES, HEIGHT, N_FRAMES, WIDTH, draw_frames, main, summarise, table
from capture_app.frame import Frame
from tests.capture_app.harness import required_browser

STAGES = {"motion", "frame", "planes", "network", "lesion and skin", "light", "detail", "all"}


def test_the_frames_are_what_the_camera_sends():
    frames = list(draw_frames())
    assert len(frames) == N_FRAMES
    for frame in frames:
        assert frame.shape == (HEIGHT, WIDTH, 4)
        assert (frame[..., 3] == 255).all()
        assert np.array_equal(Frame.of(frame[..., :3]).rgb, frame[..., :3])


def test_the_ratio_is_taken_within_rounds():
    """A machine that slows down slows both: the ratio stays, whatever the times do."""
    slow_downs = [1.0, 3.0, 1.5, 2.0, 1.0, 5.0]
    times = {
        name: {"all": [[factor * slow, factor * slow] for slow in slow_downs]}
        for name, factor in zip(BINARIES, (2.0, 5.0), strict=True)
    }
    record = summarise(times)
    assert record["without_simd"] == {"times_as_long": 2.5, "interval": [2.5, 2.5], "rounds": 6}
    assert record["median_5_95_ms"][BINARIES[0]]["all"][0] == 3.5
    assert record["checks"] == dict.fromkeys(BINARIES, 12)
    assert "2.50 times as long" in table(record)


@pytest.mark.browser
@pytest.mark.slow
def test_a_short_run_times_every_stage(tmp_path, capsys):
    required_browser()
    out = tmp_path / "live_check.json"
    assert main(["--seconds", "0.5", "--out", str(out)]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    for name in BINARIES:
        stages = record["median_5_95_ms"][name]
        assert set(stages) == STAGES
        assert all(0 < low <= median <= high for median, low, high in stages.values())
        assert max(median for median, _, _ in stages.values()) == stages["all"][0]
    assert record["machine"]["chromium"]
    assert "| network |" in capsys.readouterr().out
