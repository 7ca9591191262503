"""What do a photo without and one with flash give? Drawn pairs of known truth, parted, and shown to the model.

    python -m benchmarks.flash_pair models/pad/model.int8.onnx --data path/to/pad_ufes_20

Pairs are drawn (flash_scenes) over phantoms and over the photos that the model held out, and read by
`capture_app.flash.pair` with its own limits, the flash taken for white as the page takes it. Asks Mishra et al.
2019, Sec. 5.3, of figures. Torch is not imported.
"""

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.correction import held_out, open_model
from benchmarks.correction_scores import Effect
from benchmarks.correction_scores import summarise as model_effects
from benchmarks.flash_scenes import Conditions, Pair, draw_conditions, draw_pair
from benchmarks.flash_scores import LOOKS, OPEN, judge, motion, spread, summarise, truth_in
from capture_app.flash.light import to_display
from capture_app.flash.pair import LIMITS, FlashPair, separate_pair
from training.cli import run, write_text
from training.data.datasets.phantom import draw_photo
from training.data.datasets.phantom_capture import Capture
from training.data.datasets.registry import load_manifest
from training.data.photo import read_photo
from training.errors import DataError
from training.evaluation.predictors import Predict
from training.evaluation.scoring import with_labels_of
from training.machine import machine

GOOD, HARD = "everyday room", "hard room"
WRONG = ("another spot", "moved out of view", "flash did not fire", "washed out", "flash given first")
CHANGED = ("exposure not held", "white balance not held")
KINDS = (GOOD, HARD, *WRONG, *CHANGED)
MOTIONS = (0.03, 0.1, 0.2, 0.3, 0.4)
"""Shifts, in sides of the frame."""
PHANTOM = "phantoms"
TIMED_SIDE, TIMED_ROUNDS = 1024, 5


@dataclass(frozen=True)
class Source:
    """Photos that are taken for the skin's reflectance; without paths, phantoms of a seed."""

    name: str
    seed: int
    paths: tuple[str, ...] = ()

    def photo(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, RGB; another subject for another index."""
        if self.paths:
            return read_photo(self.paths[index % len(self.paths)], min_side=512).image_rgb
        return draw_photo(self.seed, index, size=640, capture=Capture()).image_rgb


def drawn(source: Source, index: int, kind: str, side: int, shift: float | None = None) -> Pair:
    """A pair of that kind, the same whenever it is drawn.

    Args:
        shift: instead of a hand's, in sides of the frame.
    """
    rng = np.random.default_rng([index, KINDS.index(kind), source.seed])
    conditions, other = draw_conditions(rng, hard=kind == HARD), None
    angle = rng.uniform(0, 2 * np.pi)
    if kind == "another spot":
        other = source.photo(index + 1)[:, ::-1]
    elif kind == "moved out of view":
        shift = float(rng.uniform(0.5, 0.8))
    elif kind == "flash did not fire":
        conditions = replace(conditions, flash_over_ambient=float(rng.uniform(0, 0.03)))
    elif kind == "washed out":
        conditions = replace(conditions, flash_exposure=float(rng.uniform(3, 5)))
    elif kind == "exposure not held":
        conditions = replace(conditions, flash_exposure=float(rng.uniform(0.4, 0.9)))
    elif kind == "white balance not held":
        red, blue = 2 ** rng.normal(0, 0.4, 2)
        conditions = replace(conditions, flash_gains=(float(red), 1.0, float(blue)))
    if shift is not None:
        conditions = replace(
            conditions, shift_xy=(float(shift * np.cos(angle)), float(shift * np.sin(angle)))
        )
    pair = draw_pair(source.photo(index), conditions, rng, side=side, flash_reflectance_rgb=other)
    if kind == "flash given first":
        back = np.linalg.inv(pair.homography)
        pair = replace(pair, ambient_rgb=pair.flash_rgb, flash_rgb=pair.ambient_rgb, homography=back)
    return pair


def score_looks(predict: Predict, pair: Pair, found: FlashPair | None) -> np.ndarray:
    """(2, looks, labels): the truth's own photo, then the pair's; a refused pair leaves the plain photo."""
    if found is None:
        height, width = pair.ambient_rgb.shape[:2]
        photos, box = [pair.ambient_rgb], (0, 0, width, height)
    else:
        photos, box = [found.plain_rgb, found.lit_rgb, found.reflectance_rgb], found.box
    true = to_display(np.ascontiguousarray(truth_in(box, pair)[0]))
    clean, *scores = predict([true, *photos])
    return np.array([[clean] * len(LOOKS), scores * (1 if found else len(LOOKS))])


def time_one() -> dict[str, float]:
    """Milliseconds a pair at 1024 pixels, of one core: median of a few."""
    photo = draw_photo(900, 0, size=1024, capture=Capture()).image_rgb
    pair = draw_pair(photo, Conditions(shift_xy=(0.02, 0.01)), np.random.default_rng(1), side=TIMED_SIDE)
    taken = []
    for _ in range(TIMED_ROUNDS):
        start = time.process_time()
        separate_pair(pair.ambient_rgb, pair.flash_rgb)
        taken.append(1e3 * (time.process_time() - start))
    return {"side": TIMED_SIDE, "cpu_ms": float(np.median(taken))}


def format_table(summaries: dict[str, dict[str, dict[str, Any]]]) -> str:
    """By source and kind, as Markdown."""
    lines = [
        "| pairs | accepted | alignment, px | colour: plain | with flash | reflectance | nearer than plain "
        "| shine: error | correlation |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for source, kinds in summaries.items():
        for kind, found in kinds.items():
            columns = ("error_px", *(f"colour_{look}" for look in LOOKS))
            cells = [_middle(found, column) for column in columns]
            share = f"{found['nearer_than_plain']:.0%}" if "nearer_than_plain" in found else ""
            shine = [_middle(found, column) for column in ("shine_error", "shine_correlation")]
            first = [f"{source}, {kind} ({found['pairs']})", f"{found['accepted']:.0%}"]
            lines.append(f"| {' | '.join([*first, *cells, share, *shine])} |")
    return "\n".join(lines)


def _middle(found: dict[str, Any], measure: str) -> str:
    return f"{found[measure]['median']:.2f}" if measure in found else ""


def format_effects(effects: Sequence[Effect]) -> str:
    """What the model makes of each look, as Markdown."""
    lines = ["| photos | look | accuracy | gain | true label's probability | gain | same answer as clean |"]
    lines.append("|---|---|---|---|---|---|---|")
    for effect in effects:
        if effect.condition == "clean" and effect.method != LOOKS[0]:
            continue
        cells = [effect.condition, effect.method]
        for measure in ("accuracy", "true_probability"):
            gain, low, high = (100 * value for value in effect.gain[measure])
            cells += [f"{100 * effect.level[measure]:.1f}%", f"{gain:+.1f} ({low:+.1f} to {high:+.1f})"]
        cells.append(f"{effect.level['same_answer']:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Arguments:
    """Light skin twice, photograph it twice, read the pair, and hold what comes out against what was drawn."""

    model: Annotated[Path, tyro.conf.Positional]
    """An exported model.onnx."""
    data: str
    """The data set that it was trained on, as python -m training.fit takes it."""
    pairs: int = 25
    """Of each wrong kind and source; of the good ones all held-out photos, and twice as many phantoms."""
    side: int = 480
    """Of the drawn photos, in pixels."""
    limits: bool = False
    """Look at the measures of good and wrong pairs on photos of the training part, where the limits are chosen."""
    every: int = 1
    """Take every n-th held-out photo only, for a quick look."""
    out: Path = Path("benchmarks/results/flash_pair.json")
    """The result; a picture beside it (.png) of drawn phantoms."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.flash_pair", args=argv)
    if arguments.pairs < 2 or arguments.side < 160 or arguments.every < 1:
        raise DataError(
            f"--pairs {arguments.pairs} --side {arguments.side} --every {arguments.every}: at least 2 pairs of "
            "160 pixels are needed, and every first photo."
        )
    cv2.setNumThreads(1)
    card, predict = open_model(arguments.model)
    stored = load_manifest(arguments.data)
    rows = held_out(arguments.model, card, stored)[:: arguments.every]
    manifest = with_labels_of(card, stored)
    paths = manifest.table["path"]
    if arguments.limits:
        others = np.random.default_rng(5).permutation(np.setdiff1d(np.arange(len(manifest)), rows))
        sources = [Source(PHANTOM, 900), Source(manifest.name, 900, tuple(paths.iloc[others]))]
        print(json.dumps(measure_limits(sources, arguments.pairs, arguments.side), indent=1))
        return 0
    sources = [Source(PHANTOM, 901), Source(manifest.name, 901, tuple(paths.iloc[rows]))]
    result = measure(sources, arguments, predict)
    scores, changed = result.pop("scores"), result.pop("changed")
    effects = model_effects(
        scores,
        changed,
        manifest.lesion_targets()[rows].argmax(1),
        manifest.table["group"].to_numpy()[rows],
        conditions=("clean", GOOD, HARD),
        families=("clean", "pairs", "pairs"),
        methods=LOOKS,
    )
    record = {
        "command": shlex.join(
            ["python", "-m", "benchmarks.flash_pair", *_public(arguments), "--pairs", str(arguments.pairs)]
        ),
        "about": machine("onnxruntime", "opencv-python-headless", "numpy"),
        "data": {"name": stored.name, "fingerprint": stored.fingerprint()},
        "photos": len(rows),
        "patients": int(manifest.table["group"].iloc[rows].nunique()),
        "side": arguments.side,
        "limits": asdict(LIMITS),
        **result,
        "time": time_one(),
        "effects": [effect.to_json() for effect in effects],
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    from benchmarks.flash_plots import plot_pairs

    shown = [
        drawn(sources[0], index, kind, arguments.side) for index, kind in ((0, GOOD), (1, GOOD), (2, HARD))
    ]
    arguments.out.with_suffix(".png").write_bytes(plot_pairs(shown))
    print(format_table(record["kinds"]))
    print(format_effects(effects))
    print(f"\none pair at {TIMED_SIDE} pixels: {record['time']['cpu_ms']:.0f} ms; written to {arguments.out}")
    return 0


def _public(arguments: Arguments) -> list[str]:
    model, data = (
        path.name if path.is_absolute() else str(path) for path in (arguments.model, Path(arguments.data))
    )
    return [model, "--data", data]


def measure_limits(sources: Sequence[Source], pairs: int, side: int) -> dict[str, Any]:
    """Where good and wrong pairs lie on each measure that has a limit."""
    return {
        source.name: {
            kind: spread([judge(drawn(source, index, kind, side), OPEN)[0] for index in range(pairs)])
            for kind in tqdm((GOOD, HARD, *WRONG), source.name, disable=None)
        }
        for source in sources
    }


def measure(sources: Sequence[Source], arguments: Arguments, predict: Predict) -> dict[str, Any]:
    """Every kind and motion on every source, and the model's scores on the good pairs of the data set's photos."""
    kinds: dict[str, dict[str, Any]] = {}
    motions: dict[str, list[dict[str, Any]]] = {}
    scores: dict[str, list[np.ndarray]] = {GOOD: [], HARD: []}
    changed: dict[str, list[bool]] = {GOOD: [], HARD: []}
    for source in sources:
        kinds[source.name] = {}
        for kind in KINDS:
            good = kind in scores
            count = (len(source.paths) or 2 * arguments.pairs) if good else arguments.pairs
            rows = []
            for index in tqdm(range(count), f"{source.name}, {kind}", unit="pair", disable=None):
                pair = drawn(source, index, kind, arguments.side)
                row, found = judge(pair)
                rows.append(row)
                if good and source.paths:
                    scores[kind].append(score_looks(predict, pair, found))
                    changed[kind].append(found is not None)
            kinds[source.name][kind] = summarise(rows)
        motions[source.name] = []
        for shift in MOTIONS:
            pairs = [drawn(source, index, GOOD, arguments.side, shift) for index in range(arguments.pairs)]
            summary = summarise([judge(pair)[0] for pair in pairs])
            moved = float(np.median([motion(pair) for pair in pairs]))
            motions[source.name].append({"shift": shift, "motion": moved, **summary})
    good_scores, hard_scores = (np.array(scores[kind]) for kind in (GOOD, HARD))
    touched = np.array([[False] * len(changed[GOOD]), changed[GOOD], changed[HARD]]).T
    by_look = np.stack([np.zeros_like(touched), touched, touched], axis=2)
    together = np.stack([good_scores[:, 0], good_scores[:, 1], hard_scores[:, 1]], axis=1)
    return {"kinds": kinds, "motions": motions, "scores": together, "changed": by_look}


if __name__ == "__main__":
    sys.exit(run(main))
