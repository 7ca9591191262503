"""From looks at clean and spoilt photos to the guidance benchmark's figures.

print(tables(summarise({"photos": looks, "phantoms": drawn})))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from scipy import stats

from benchmarks.guidance_defects import DEFECTS, Defect
from benchmarks.guidance_parts import MaskedPhoto
from capture_app.locate import read_scene
from capture_app.quality import check_scene, limits, measures_of
from export.heatmap import heat_of
from export.runtime import Classifier, Prediction
from training.evaluation.metrics import interval

CENTRE_TOLERANCE = 0.1
"""Of the frame's side."""
OVERLAP = 0.5
DRAWS = 1000
FRAMED_OFFSET, FRAMED_EXTENT = 0.12, 0.15
"""What a well framed photo keeps to, of its side: a photo of people counts as clean only then."""
LIGHT_SKIN, DARK_SKIN = ("1", "2"), ("4", "5", "6")
ASKED_AUC = {"photos": 0.92, "phantoms": 0.97}
SHARES = {
    "clean photos passed": 0.95,
    "photos whose answer changed, stopped or advised on": 0.85,
    "lesion found: centre and box": 0.85,
}


@dataclass(frozen=True)
class Look:
    """What the checks and the model say of one photo."""

    group: str
    skin_tone: str
    defect: Defect | None
    framed: bool
    """By its mask, the lesion of the photo as it was taken is near the middle and neither small nor cut off."""
    measures: dict[str, float]
    """By fault."""
    passed: bool
    """No finding but ok."""
    blocked: bool
    centred: bool
    """The lesion's centre is within 10% of the side of the true one; told of clean photos."""
    overlapping: bool
    """Its box overlaps the true one's by more than a half; told of clean photos."""
    answer: str | None
    """The model's likeliest label."""
    peak_inside: bool | None
    """The heatmap's highest point lies in the lesion's mask; told of clean photos."""
    energy_inside: float | None
    """Share of the heatmap in the mask; told of clean photos."""
    lesion_share: float | None
    """Share of the mask in what the model sees: `energy_inside` of a heatmap that says nothing."""


def look_at(
    photo: MaskedPhoto,
    defect: Defect | None,
    rgb: np.ndarray,
    classifier: Classifier | None,
    network: onnxruntime.InferenceSession | None = None,
) -> Look:
    """Check a photo, clean or spoilt.

    Args:
        photo: as it was, with its mask.
        rgb: what is looked at, (side, side, 3) uint8.
        classifier: None where answers do not matter.
        network: the locator; the shipped one if None.
    """
    scene = read_scene(rgb, network)
    quality = check_scene(scene)
    centred, overlapping = located(scene.lesion.box, photo.box, photo.rgb.shape[0])
    answer = peak = energy = share = None
    if classifier is not None:
        prediction = classifier.predict([rgb])[0]
        answer = prediction.lesions[0].name
        if defect is None:
            peak, energy, share = _heat_inside(prediction, photo)
    return Look(
        photo.group,
        photo.skin_tone,
        defect,
        is_framed(photo),
        measures_of(scene),
        quality.severity == "ok",
        quality.severity == "block",
        centred,
        overlapping,
        answer,
        peak,
        energy,
        share,
    )


def is_framed(photo: MaskedPhoto) -> bool:
    """Whether the mask says that nothing is amiss with the field of view."""
    x0, y0, x1, y1 = photo.box
    side = photo.mask.shape[0]
    offset = max(abs(x0 + x1 - side), abs(y0 + y1 - side)) / 2 / side
    whole = x0 > 0 and y0 > 0 and x1 < side and y1 < side
    return whole and offset <= FRAMED_OFFSET and max(x1 - x0, y1 - y0) >= FRAMED_EXTENT * side


def located(seen: Sequence[float] | np.ndarray, true: tuple[int, ...], side: int) -> tuple[bool, bool]:
    """Whether a box's centre, and whether the box, is where it should be: `CENTRE_TOLERANCE`, `OVERLAP`.

    Args:
        seen: (x0, y0, x1, y1) in pixels, as `true` is.
        side: of the photo.
    """
    found, box = np.array(seen, float), np.array(true, float)
    error = np.abs((found[:2] + found[2:]) - (box[:2] + box[2:])).max() / 2 / side
    shared = np.prod(np.maximum(np.minimum(found[2:], box[2:]) - np.maximum(found[:2], box[:2]), 0))
    union = np.prod(found[2:] - found[:2]) + np.prod(box[2:] - box[:2]) - shared
    return bool(error <= CENTRE_TOLERANCE), bool(shared / union > OVERLAP)


def _heat_inside(
    prediction: Prediction, photo: MaskedPhoto
) -> tuple[bool | None, float | None, float | None]:
    """Of the likeliest label's map: whether its highest point, and how much of it, lies in the lesion; and how
    much of what the model sees is lesion."""
    x0, y0, x1, y1 = prediction.view_box
    mask = photo.mask[y0:y1, x0:x1]
    cam = prediction.cam_of(prediction.lesions[0].name)
    heat = heat_of(cam, float(cam.max()), mask.shape)
    if not heat.any() or not mask.any():
        return None, None, None
    return bool(mask.flat[np.argmax(heat)]), float(heat[mask].sum() / heat.sum()), float(mask.mean())


def summarise(looks: dict[str, list[Look]]) -> dict[str, Any]:
    """All figures, by source, JSON-ready; shares and areas in [0, 1], each with its 95% interval by patient."""
    return {"sources": {source: _of_source(own) for source, own in looks.items()}}


def _of_source(looks: list[Look]) -> dict[str, Any]:
    all_clean = [look for look in looks if look.defect is None]
    clean = [look for look in all_clean if look.framed]
    found: dict[str, Any] = {
        "unspoilt": len(all_clean),
        "of them well framed, and so clean": len(clean),
        "defects": {kind: _defect(kind, clean, looks) for kind in DEFECTS},
        "clean photos passed": share_of(clean, lambda look: look.passed),
        "clean photos not blocked": share_of(clean, lambda look: not look.blocked),
        "spoilt photos advised on or stopped": share_of(
            [look for look in looks if look.defect is not None], lambda look: not look.passed
        ),
        "lesion found: centre": share_of(all_clean, lambda look: look.centred),
        "lesion found: box": share_of(all_clean, lambda look: look.overlapping),
        "lesion found: centre and box": share_of(all_clean, lambda look: look.centred and look.overlapping),
        "false alarms by skin": false_alarms_by_skin(clean),
    }
    if any(look.answer for look in clean):
        changed = [look for look, before in _answers_before(looks) if look.answer != before]
        found["photos whose answer changed"] = len(changed)
        found["photos whose answer changed, stopped or advised on"] = share_of(
            changed, lambda look: not look.passed
        )
        mapped = [look for look in all_clean if look.peak_inside is not None]
        found["heatmap's highest point inside the lesion"] = share_of(
            mapped, lambda look: bool(look.peak_inside)
        )
        found["heatmap's energy inside the lesion"] = share_of(mapped, lambda look: look.energy_inside or 0.0)
        found["lesion's share of what the model sees"] = share_of(
            mapped, lambda look: look.lesion_share or 0.0
        )
    return found


def _answers_before(looks: list[Look]) -> list[tuple[Look, str | None]]:
    """Each spoilt photo with the answer to the same photo clean, which comes before it."""
    pairs, before = [], None
    for look in looks:
        if look.defect is None:
            before = look.answer
        else:
            pairs.append((look, before))
    return pairs


def _defect(kind: str, clean: list[Look], looks: list[Look]) -> dict[str, Any]:
    fault, _, amounts = DEFECTS[kind]
    sign = 1 if limits()[fault].worse == "above" else -1
    spoilt = [look for look in looks if look.defect is not None and look.defect.kind == kind]
    result: dict[str, Any] = {"fault": fault, "spoilt": len(spoilt)}
    for name, own in (
        ("area", spoilt),
        *(
            (f"area at {amount:g}", [look for look in spoilt if _amount(look) == amount])
            for amount in amounts
        ),
    ):
        both = clean + own
        scores = np.array([sign * look.measures[fault] for look in both])
        truth = np.array([look.defect is not None for look in both])
        groups = np.array([look.group for look in both])
        if not own:
            result[name] = None
            continue
        result[name] = roc_area(scores, truth)
        if name == "area":
            result["interval"] = interval(roc_area, scores, truth, groups=groups, draws=DRAWS)
    result["told"] = share_of(spoilt, lambda look: not look.passed)
    return result


def _amount(look: Look) -> float | None:
    return look.defect.amount if look.defect else None


def roc_area(scores: np.ndarray, truth: np.ndarray) -> float:
    """The area under the ROC curve, by ranks (Mann & Whitney 1947); nan of one class alone."""
    positives = int(truth.sum())
    pairs = positives * (len(truth) - positives)
    above = stats.rankdata(scores)[truth].sum() - positives * (positives + 1) / 2
    return float(above / pairs) if pairs else float("nan")


def share_of(looks: Sequence[Look], test: Callable[[Look], float]) -> dict[str, Any] | None:
    """The mean of a test over looks, with its 95% interval by patient; None of no look."""
    if not looks:
        return None
    values, groups = np.array([float(test(look)) for look in looks]), np.array([look.group for look in looks])
    return {
        "n": len(looks),
        "value": float(values.mean()),
        "interval": interval(lambda own: float(own.mean()), values, groups=groups, draws=DRAWS),
    }


def false_alarms_by_skin(clean: list[Look]) -> dict[str, Any]:
    """Shares of clean photos complained about, of light and of dark skin, and by how much the second is larger."""
    light = [look for look in clean if look.skin_tone in LIGHT_SKIN]
    dark = [look for look in clean if look.skin_tone in DARK_SKIN]
    found: dict[str, Any] = {
        "light": share_of(light, lambda look: not look.passed),
        "dark": share_of(dark, lambda look: not look.passed),
        "difference": None,
    }
    if light and dark:
        both = light + dark
        alarms = np.array([float(not look.passed) for look in both])
        is_dark = np.array([look.skin_tone in DARK_SKIN for look in both])
        groups = np.array([look.group for look in both])
        found["difference"] = {
            "value": _gap(alarms, is_dark),
            "interval": interval(_gap, alarms, is_dark, groups=groups, draws=DRAWS),
        }
    return found


def _gap(alarms: np.ndarray, is_dark: np.ndarray) -> float:
    if is_dark.all() or not is_dark.any():
        return float("nan")
    return float(alarms[is_dark].mean() - alarms[~is_dark].mean())


def tables(record: dict[str, Any]) -> str:
    """The record as Markdown: one table of defects, one of the rest."""
    sources = record["sources"]
    lines = [
        f"| defect | {' | '.join(f'ROC area, {own} (asked)' for own in sources)} | told, {', '.join(sources)} |",
        "|---|" + "---|" * (len(sources) + 1),
    ]
    for kind in DEFECTS:
        rows = [own["defects"][kind] for own in sources.values()]
        areas = [
            f"{row['area']:.3f} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f}; {ASKED_AUC[source]:g})"
            if row["area"] is not None
            else "none fits"
            for source, row in zip(sources, rows, strict=True)
        ]
        told = ", ".join(f"{row['told']['value']:.0%}" if row["told"] else "-" for row in rows)
        lines.append(f"| {kind} | {' | '.join(areas)} | {told} |")
    lines += ["", f"| share | {' | '.join(sources)} | asked |", "|---|" + "---|" * (len(sources) + 1)]
    names = dict.fromkeys(
        name
        for own in sources.values()
        for name, value in own.items()
        if isinstance(value, dict) and "value" in value
    )
    for name in names:
        cells = [cell(own.get(name)) for own in sources.values()]
        asked = f"{SHARES[name]:.0%}" if name in SHARES else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {asked} |")
    for who in ("light", "dark", "difference"):
        cells = [cell(own["false alarms by skin"][who]) for own in sources.values()]
        asked = "3 points" if who == "difference" else ""
        lines.append(
            f"| false alarms, {who}{' skin' * (who != 'difference')} | {' | '.join(cells)} | {asked} |"
        )
    if allowances := record.get("allowances"):
        first = {source: allowances[0].get(source, {}) for source in sources}
        named = dict.fromkeys(what for own in first.values() for what in own)
        columns = [
            (what, source) for what in named for source, own in first.items() if own.get(what) is not None
        ]
        heads = [f"{what}, {source}" for what, source in columns]
        lines += ["", f"| allowed to fail | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        for row in allowances:
            shares = [row[source][what] for what, source in columns]
            lines.append(f"| {row['allowed']:.1%} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    return "\n".join(lines)


def cell(share: dict[str, Any] | None) -> str:
    """A share as people read it, with its interval and how many it is of."""
    if share is None:
        return "not measured"
    low, high = share["interval"]
    count = f", n = {share['n']}" if "n" in share else ""
    return f"{share['value']:.1%} ({low:.1%} to {high:.1%}{count})"
