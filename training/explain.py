"""Show a model's worst errors: the photo, the evidence for the label it gave, and for the true one.

    python -m training.explain runs/demo --data phantom --out explained
    python -m training.explain runs/mine --data photos/manifest.csv --out explained --photos 0017.jpg 0033.jpg

Source: Mishra et al. 2019, Sec. 4, Fig. 7 to 12 and Table 3: Grad-CAM and guided backpropagation. Only a run can
be explained: an exported model.onnx has no gradients.
"""

import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro
from tqdm import tqdm

from training.cli import run, whole_file, write_text
from training.data.cache import PhotoCache, report_left_out
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.errors import CheckpointError, DataError, UserError
from training.evaluation.confusions import confused_pairs
from training.evaluation.metrics import confusion_matrix
from training.evaluation.scoring import Part, rows_of_part, with_labels_of

if TYPE_CHECKING:
    from training.explanations.gallery import Case
    from training.models.card import ModelCard
    from training.models.networks import LesionNetwork

PAGE_FILE = "explain.html"
CASES_FILE = "cases.json"
SCORED_AT_ONCE = 16


@dataclass(frozen=True)
class ExplainCommand:
    """Show a trained model's worst errors: which labels it takes for each other, and where it looked.

    Writes explain.html (one page with everything in it), cases.json and one PNG a case."""

    run: tyro.conf.Positional[Path]
    """The folder of a finished run. An exported model.onnx has no gradients and cannot be explained."""
    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders. Where it names
    lesion masks, the share of the heat that lies in the lesion is stated."""
    out: Path
    """The folder to write to; made if it is not there."""
    pairs: int = 5
    """Of how many pairs of labels, the most confused first, the worst error in each direction is shown."""
    photos: tuple[str, ...] = ()
    """Explain these photos of the data instead, right or wrong: file names or paths."""
    part: Part = "auto"
    """`validation`: the photos that the run held out; `test`: rows whose split is test; `all`: every row. `auto`
    is `validation` on the data that the model was trained on, else `all`."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


def explain_run(command: ExplainCommand, *, progress: bool = True) -> dict[str, Any]:
    """Score the photos, explain the worst errors, write page, pictures and JSON.

    Returns:
        What `cases.json` holds.

    Raises:
        UserError: the run, the data or a photo named cannot be used.
    """
    if command.pairs < 1:
        raise UserError(f"--pairs {command.pairs}: at least 1 is needed.")
    if command.run.suffix == ".onnx":
        raise CheckpointError(
            f"{command.run} is an exported model, which has no gradients; name the folder of the run that it "
            "was exported from."
        )
    earlier_figures = _earlier_figures(command.out)
    from training.engine import Arithmetic
    from training.explanations import gallery
    from training.explanations.page import write_page
    from training.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(command.run)
    card = checkpoint.card
    network = checkpoint.network.to(Arithmetic.choose(command.device).device)
    manifest = load_manifest(command.data)
    rows, part = rows_of_part(card, manifest, command.part)
    held = with_labels_of(card, manifest).subset(rows)
    cache = PhotoCache.build(
        held, min_side=card.preprocessing.decode_min_side, folder=command.cache, progress=progress
    )
    named = _rows_named(command.photos, held, cache.left_out, part)
    kept = named or [row for row in range(len(held)) if row not in cache.left_out]
    scored, photos = held.subset(kept), [cache[row] for row in kept]
    logits = score_photos(network, card, photos, progress=progress)
    targets = scored.lesion_targets()
    if named:
        choices = gallery.choose_rows(logits, targets, range(len(named)))
    else:
        groups = scored.table["group"].to_numpy()
        choices = gallery.choose_errors(logits, targets, groups, held.lesion_labels, command.pairs)
    cases = gallery.explain_choices(network, card, scored, photos, logits, choices, progress=progress)
    single = targets.sum(1) == 1
    actual, predicted = targets[single].argmax(1), logits[single].argmax(1)
    confusion = confusion_matrix(predicted, actual, len(held.lesion_labels))
    figures = [_figure_name(number, case) for number, case in enumerate(cases, start=1)]
    map_size = -(-card.preprocessing.input_size // 32)
    result = {
        "model": str(command.run),
        "data": command.data,
        "part": part,
        "fingerprint": manifest.fingerprint(),
        "photos": int(single.sum()),
        "errors": int((actual != predicted).sum()),
        "left_out": len(cache.left_out),
        "several_labels": int((~single).sum()),
        "chosen": "named" if named else "by rule",
        "rule": "They were named on the command line." if named else gallery.RULE,
        "map_size": map_size,
        "place_px": card.preprocessing.input_size // map_size,
        "pairs": []
        if named
        else [dataclasses.asdict(pair) for pair in confused_pairs(confusion, held.lesion_labels)],
        "cases": [{"figure": name} | case.to_json() for name, case in zip(figures, cases, strict=True)],
    }
    for earlier in earlier_figures:
        earlier.unlink(missing_ok=True)
    for name, case in zip(figures, cases, strict=True):
        with whole_file(command.out / name) as temporary:
            temporary.write_bytes(case.figure_png)
    write_text(command.out / CASES_FILE, json.dumps(result, indent=2, ensure_ascii=False))
    write_page(command.out / PAGE_FILE, card, result, cases)
    report_left_out(cache.left_out)
    return result


def score_photos(
    network: "LesionNetwork", card: "ModelCard", photos: Sequence[np.ndarray], *, progress: bool = True
) -> np.ndarray:
    """(H, W, 3) uint8 RGB photos of any sizes, decoded as the card says, to (N, P) float32 lesion logits."""
    import torch

    from training.models.preprocess import preprocess

    device = next(network.parameters()).device
    logits = []
    with (
        torch.inference_mode(),
        tqdm(total=len(photos), desc="score photos", unit="photo", leave=False, disable=not progress) as bar,
    ):
        for start in range(0, len(photos), SCORED_AT_ONCE):
            batch = [
                preprocess(torch.from_numpy(photo.copy())[None], card.preprocessing)
                for photo in photos[start : start + SCORED_AT_ONCE]
            ]
            logits.append(network(torch.cat(batch).to(device)).lesion.cpu().numpy())
            bar.update(len(batch))
    return np.concatenate(logits)


def _rows_named(names: Sequence[str], held: Manifest, left_out: dict[int, str], part: str) -> list[int]:
    """The row of each photo that a person named, by path or by file name.

    Raises:
        DataError: no row is meant, or several, or a photo that no decoder opens.
    """
    paths = [Path(path) for path in held.table["path"]]
    rows = []
    for name in names:
        found = [row for row, path in enumerate(paths) if path.resolve() == Path(name).resolve()]
        found = found or [row for row, path in enumerate(paths) if path.name == name]
        if not found:
            raise DataError(
                f"--photos {name}: no photo of that path or file name is in part '{part}' of {held.name} "
                f"({len(held)} photos); take --part all, or one such as {paths[0].name}."
            )
        if len(found) > 1:
            raise DataError(
                f"--photos {name}: {len(found)} photos of {held.name} have that name; give the path of one."
            )
        if found[0] in left_out:
            raise DataError(f"--photos {name}: {left_out[found[0]]}")
        rows += found
    return rows


def _figure_name(number: int, case: "Case") -> str:
    labels = "-as-".join(("+".join(case.actual), case.predicted.label))
    return f"case-{number:02d}-{re.sub(r'[^A-Za-z0-9_.+-]+', '_', labels)}.png"


def _earlier_figures(folder: Path) -> list[Path]:
    """The pictures that an earlier page in this folder listed: none of them may outlive it.

    Raises:
        DataError: the folder holds a `cases.json` that is not of this command.
    """
    listing = folder / CASES_FILE
    if not listing.is_file():
        return []
    try:
        cases = json.loads(listing.read_text(encoding="utf-8"))["cases"]
        return [folder / Path(case["figure"]).name for case in cases]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{listing} was not written by this command; choose another --out.") from error


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `ExplainCommand`."""
    command = tyro.cli(ExplainCommand, args=arguments, prog="python -m training.explain")
    result = explain_run(command)
    print(f"{result['errors']} of {result['photos']} photos ({result['part']}) were misclassified.")
    for pair in result["pairs"][: command.pairs]:
        print(
            f"  {pair['label_1']} and {pair['label_2']}: {pair['total']} errors, "
            f"{pair['errors_1_as_2']} and {pair['errors_2_as_1']}"
        )
    if not result["cases"]:
        print("There is no error to explain; the page says so.")
    print(f"{len(result['cases'])} photos explained: {command.out / PAGE_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
