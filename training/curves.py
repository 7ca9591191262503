"""How a model's answers change with the field of view, the distance and gamma: curves with intervals on one page.

    python -m training.curves runs/mine --data path/to/photos --out reports/mine
    python -m training.curves models/demo/model.onnx --data phantom --out reports/demo

Tests two claims of Mishra et al. 2019: a nearer view makes the prediction unambiguous (Sec. 5.2, Fig. 14), and
gamma 1.2 to 1.5 improves predictions (Sec. 5.3, Fig. 15). Writes curves.html, self-contained, and curves.json.
"""

import base64
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import tyro
from PIL import Image

from training.cli import run, write_text
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.errors import DataError
from training.evaluation.curve_plots import plot_curves, plot_strip
from training.evaluation.curves import Curve, claim_sentence, deciding_change, measure
from training.evaluation.distance import Distance
from training.evaluation.predictors import Predict, open_predictor
from training.evaluation.scoring import Part, rows_of_part, with_labels_of
from training.evaluation.sweeps import FieldOfView, Sweep, Tone, seen
from training.models.card import ModelCard

EXPOSURES_EV = (0.0, -1.0, 1.0)
PAGE, NUMBERS = "curves.html", "curves.json"


@dataclass(frozen=True)
class CurvesCommand:
    """Score the same photos cropped nearer and at other gammas, and say whether the paper's claims hold."""

    model: tyro.conf.Positional[Path]
    """A run's folder, or an exported model.onnx."""
    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders. The field of view
    needs a lesion's `box` or `mask`; photos without one are left out of that curve."""
    out: Path
    """Folder for curves.html and curves.json."""
    part: Part = "auto"
    """`validation`: the photos that the model's run held out; `test`: rows whose split is test; `all`: every row.
    `auto` is `validation` on the data that the model was trained on, else `all`."""
    phantoms: int = 10
    """Photos a label for the curve over distance, which is drawn where the model knows the phantom's labels."""
    examples: bool = True
    """Show three photos of each curve, picked by rule. They are photos of the data set: pass the page on only to
    whom you may give them, or take --no-examples."""
    device: str = "auto"
    """`auto` takes CUDA where there is one; an exported model is computed on the CPU."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a model.

    sweeps: each curve's photos, for drawing examples.
    skipped: for each curve that could not be measured, a sentence on why.
    """

    card: ModelCard
    source: dict[str, Any]
    curves: tuple[Curve, ...]
    sweeps: tuple[Sweep, ...]
    skipped: tuple[str, ...]


def measure_curves(
    model: Path,
    data: str,
    part: Part = "auto",
    *,
    phantoms: int = 10,
    device: str = "auto",
    progress: bool = True,
) -> Measured:
    """Every curve that the model and the data allow.

    Raises:
        UserError: the model or the data cannot be used, or their labels do not agree.
    """
    card, predict = open_predictor(model, device)
    manifest = load_manifest(data)
    rows, part = rows_of_part(card, manifest, part)
    held = with_labels_of(card, manifest).subset(rows)
    source = {"model": str(model), "data": data, "part": part, "fingerprint": manifest.fingerprint()}
    return measure_held(card, predict, held, source, phantoms=phantoms, progress=progress)


def measure_held(
    card: ModelCard,
    predict: Predict,
    held: Manifest,
    source: dict[str, Any],
    *,
    phantoms: int = 10,
    progress: bool = True,
) -> Measured:
    """The same of a model and photos in hand; what cannot be measured is skipped with a sentence.

    Args:
        held: the photos to score, with the model's labels in its order.
        source: what is said of where the photos and the model come from.
    """
    curves, sweeps, skipped = [], [], []
    for title, make in sweeps_of(card, held, phantoms):
        try:
            sweep = make()
        except DataError as error:
            skipped.append(f"{title}: {error}")
            continue
        curves.append(measure(predict, sweep, progress=progress))
        sweeps.append(sweep)
    return Measured(card, source, tuple(curves), tuple(sweeps), tuple(skipped))


def write_page(measured: Measured, out: Path, *, examples: bool = True) -> None:
    """curves.html and curves.json, each whole or not at all."""
    blocks = []
    for name in dict.fromkeys(curve.name for curve in measured.curves):
        own = [(c, s) for c, s in zip(measured.curves, measured.sweeps, strict=True) if c.name == name]
        strips = [_strip(measured.card, curve, sweep) for curve, sweep in own] if examples else []
        blocks.append(
            {
                "name": name,
                "curves": [curve for curve, _ in own],
                "figure": base64.b64encode(plot_curves([curve for curve, _ in own])).decode(),
                "strips": strips,
            }
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(sentence=claim_sentence, deciding=deciding_change)
    page = environment.get_template("curves.html.jinja").render(
        card=measured.card, source=measured.source, blocks=blocks, skipped=measured.skipped
    )
    write_text(out / PAGE, page)
    numbers = measured.source | {
        "curves": [curve.to_json() for curve in measured.curves],
        "skipped": measured.skipped,
    }
    write_text(out / NUMBERS, json.dumps(numbers, indent=2))


def sweeps_of(card: ModelCard, held: Manifest, phantoms: int) -> list[tuple[str, Callable[[], Sweep]]]:
    """The curves to measure, in the paper's order; each is made when its turn comes, or says why it cannot be."""
    view, labels = card.preprocessing, held.lesion_labels
    sweeps: list[tuple[str, Callable[[], Sweep]]] = [
        ("Field of view", lambda: FieldOfView.of(held, view)),
        ("Distance", lambda: Distance(labels, phantoms)),
    ]
    tones = [partial(Tone, held, view, exposure_ev=exposure_ev) for exposure_ev in EXPOSURES_EV]
    return [*sweeps, *(("Gamma", tone) for tone in tones)]


def _strip(card: ModelCard, curve: Curve, sweep: Sweep) -> str:
    """The strip as base64 of a JPEG: photos take a fifth of the room that PNG needs."""
    names = {label.name: label.display for label in card.lesion_labels}
    png = plot_strip(curve, sweep, lambda image: seen(image, card.preprocessing), names)
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(jpeg, "JPEG", quality=88)
    return base64.b64encode(jpeg.getvalue()).decode()


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `CurvesCommand`."""
    command = tyro.cli(CurvesCommand, args=arguments, prog="python -m training.curves")
    measured = measure_curves(
        command.model, command.data, command.part, phantoms=command.phantoms, device=command.device
    )
    write_page(measured, command.out, examples=command.examples)
    for curve in measured.curves:
        print(claim_sentence(curve))
    for sentence in measured.skipped:
        print(f"not measured: {sentence}", file=sys.stderr)
    print(f"{command.out / PAGE} and {NUMBERS}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
