"""The page's own pieces, as HTML strings: pure functions, every text from outside escaped.

    st.html(probability_bars(prediction.lesions[:5]))

Colour never says anything alone: each finding has a mark and a word, each bar its number. Torch-free.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

from capture_app.locate import Lesion
from capture_app.quality import Finding, Severity
from export.heatmap import COLOUR_MAP, FULL_OPACITY_AT
from export.runtime import Score
from training.models.card import ModelCard

CHECK_NAMES = ("Framing", "Light", "Focus")
SEVERITY_WORDS: dict[Severity, str] = {"ok": "Good", "advise": "Could be better", "block": "Take it again"}
JPEG_QUALITY = 90
LEGEND_STOPS = 9


def notice(kind: str, text: str, title: str = "") -> str:
    """A framed sentence. kind: `plain`, `warn` or `error`."""
    strong = f"<strong>{escape(title)}</strong>" if title else ""
    role = "alert" if kind == "error" else "note"
    return f'<div class="dc-notice dc-{kind}" role="{role}">{strong}<p>{escape(text)}</p></div>'


def step(number: int, title: str) -> str:
    """A section's heading."""
    return f'<h2 class="dc-step"><span aria-hidden="true">{number}</span>{escape(title)}</h2>'


def quiet(text: str) -> str:
    """A sentence in small print."""
    return f'<p class="dc-quiet">{escape(text)}</p>'


def picture(image_rgb: np.ndarray, alt: str, caption: str = "", lesion: Lesion | None = None) -> str:
    """A photo with its caption; with a lesion, the box found and the frame's centre are drawn on it."""
    height, width = image_rgb.shape[:2]
    marks = _reticle(height, width, lesion) if lesion else ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="dc-photo"><div><img src="{_data_url(image_rgb)}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}"/>{marks}</div>{below}</figure>'
    )


def side_by_side(figures: Sequence[str]) -> str:
    """Pictures beside each other, also on a phone."""
    return f'<div class="dc-pair">{"".join(figures)}</div>'


def finding_rows(findings: Sequence[Finding]) -> str:
    """The checks, one quiet row each."""
    rows = "".join(
        f'<li class="dc-{finding.severity}"><i aria-hidden="true"></i>'
        f"<div><b>{name}</b><em>{SEVERITY_WORDS[finding.severity]}</em><p>{escape(finding.advice)}</p></div></li>"
        for name, finding in zip(CHECK_NAMES, findings, strict=True)
    )
    return f'<ul class="dc-findings" aria-label="Checks of the photo">{rows}</ul>'


def probability_bars(scores: Iterable[Score]) -> str:
    """Ranked labels, each with its probability as a bar and in figures."""
    rows = "".join(
        f"<li><span>{escape(score.display)}</span><b>{percent(score.probability)}</b>"
        f'<i aria-hidden="true"><u style="width:{100 * score.probability:.1f}%"></u></i></li>'
        for score in scores
    )
    return f'<ol class="dc-bars">{rows}</ol>'


def body_site(locations: Sequence[Score]) -> str:
    """The likeliest body sites in one line."""
    first, *others = (f"{escape(score.display)} {percent(score.probability)}" for score in locations[:3])
    rest = f" <span>then {', '.join(others)}</span>" if others else ""
    return f'<p class="dc-site"><small>Body site</small><b>{first}</b>{rest}</p>'


def heat_legend(label: str) -> str:
    """What the colours of a heatmap mean."""
    heat = np.linspace(0, 1, LEGEND_STOPS)
    colours = cv2.applyColorMap(np.round(heat * 255).astype(np.uint8)[:, None], COLOUR_MAP)[:, 0, ::-1]
    stops = ",".join(
        f"rgb({red} {green} {blue} / {min(level / FULL_OPACITY_AT, 1):.2f})"
        for level, (red, green, blue) in zip(heat, colours, strict=True)
    )
    return (
        f'<div class="dc-legend"><i style="background:linear-gradient(90deg,{stops})" aria-hidden="true"></i>'
        "<p><span>no evidence</span><span>strongest in this photo</span></p></div>"
        f'<p class="dc-quiet">Where the model found evidence for <b>{escape(label.lower())}</b>. One scale for '
        "all labels of this photo: a pale map means weak evidence. The dimmed margin was not looked at.</p>"
    )


def details(card: ModelCard, model_id: str) -> str:
    """The model's card, as a list of terms."""
    data = card.data
    trained_on = ", ".join(
        str(part)
        for part in (data.get("name"), "drawings, no photos of people" if card.synthetic else None)
        if part
    )
    rows = [
        ("Model", f"{card.name} ({card.architecture})"),
        ("Identity", model_id[:16]),
        ("Trained on", trained_on or "not stated"),
        ("Made", card.created or "not stated"),
        ("Licence of the weights", card.licence),
        ("Intended use", card.intended_use),
    ]
    rows[3:3] = metric_rows(card)
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" for term, value in rows)
    return f'<dl class="dc-details">{terms}</dl>'


def metric_rows(card: ModelCard) -> list[tuple[str, str]]:
    """The card's shares with their 95% intervals, in words; counts and nested tables are left out."""
    rows = []
    for name, value in card.metrics.items():
        if isinstance(value, float) and 0 <= value <= 1 and not name.endswith("_interval"):
            interval = card.metrics.get(f"{name}_interval")
            spread = (
                f" (95% interval {100 * interval[0]:.0f} to {100 * interval[1]:.0f}%)" if interval else ""
            )
            words = name.replace("_", " ").replace("map ", "mAP-")
            rows.append(
                (words[0].upper() + words[1:] if words[0] != "m" else words, f"{100 * value:.0f}%{spread}")
            )
    return rows


def percent(probability: float) -> str:
    """A probability as a person reads it."""
    if 0 < probability < 0.01:
        return "under 1%"
    if 0.99 < probability < 1:
        return "over 99%"
    return f"{100 * probability:.0f}%"


def _data_url(image_rgb: np.ndarray) -> str:
    # A view with reversed bands would take the encoder three times as long.
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", image_bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    return _url("image/jpeg", encoded.tobytes())


def _reticle(height: int, width: int, lesion: Lesion) -> str:
    """The box around the lesion as four corners, and a cross at the frame's centre."""
    x0, y0, x1, y1 = lesion.box
    arm = min(x1 - x0, y1 - y0) / 4
    corners = (
        f"M{x0} {y0 + arm}V{y0}H{x0 + arm}M{x1 - arm} {y0}H{x1}V{y0 + arm}"
        f"M{x1} {y1 - arm}V{y1}H{x1 - arm}M{x0 + arm} {y1}H{x0}V{y1 - arm}"
    )
    tick = min(height, width) / 40
    cross = f"M{width / 2 - tick} {height / 2}h{2 * tick}M{width / 2} {height / 2 - tick}v{2 * tick}"
    line = min(height, width) / 110
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" fill="none" '
        f'stroke-linecap="round" stroke-linejoin="round"><g stroke="#000" stroke-opacity=".4">'
        f'<path stroke-width="{2 * line}" d="{corners}"/><path stroke-width="{line}" d="{cross}"/></g>'
        f'<g stroke="#fff"><path stroke-width="{line}" d="{corners}"/>'
        f'<path stroke-width="{line / 2}" d="{cross}"/></g></svg>'
    )
    return f'<img class="dc-marks" alt="" src="{_url("image/svg+xml", drawing.encode())}"/>'


def _url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64," + base64.b64encode(data).decode("ascii")
