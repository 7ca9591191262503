"""The page's own pieces, as HTML strings: pure functions, every text from outside escaped.

    st.html(probability_bars(prediction.lesions[:5], words))

Colour never says anything alone: each finding has a mark and a word, each bar its number. Torch-free.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from capture_app.camera import LiveFinding
from capture_app.locate import Lesion
from capture_app.quality import Finding
from capture_app.tone import MAX_GAMMA, MIN_GAMMA, PAPER_GAMMAS
from capture_app.words import Words
from export.heatmap import COLOUR_MAP, FULL_OPACITY_AT
from export.runtime import Score
from training.models.card import ModelCard

CHECKS = ("field_of_view", "illumination", "focus")
JPEG_QUALITY = 90
LEGEND_STOPS = 9


def header(words: Words, *, short: bool) -> str:
    """What the page is, and what it is not; in short once a photo is there. Names the page's language, too."""
    lede = f"<h1>{escape(words('page.heading'))}</h1><p>{escape(words('page.lede'))}</p>"
    return (
        f'<header class="dc-head"><p class="dc-brand" translate="no">dermcapture</p>{"" if short else lede}'
        f'<p class="dc-gentle">{escape(words("page.gentle"))}</p></header>'
        f"<script>document.documentElement.lang = {json.dumps(words.language)};</script>"
    )


def connection_watch(words: Words) -> str:
    """A script that says when the page cannot reach its server, for as long as it cannot."""
    told = {"title": words("page.lost"), "text": words("page.lost_help")}
    script = (Path(__file__).parent / "connection.js").read_text(encoding="utf-8")
    return f"<script>(() => {{ const words = {json.dumps(told)};\n{script}}})();</script>"


def footer(words: Words) -> str:
    """What becomes of a photo."""
    return f'<footer class="dc-foot"><p>{escape(words("page.privacy"))}</p></footer>'


def upload_button(words: Words) -> str:
    """The words on the upload's button, which Streamlit has in English only; style.css puts them there."""
    return f"<style>:root {{ --dc-choose: {json.dumps(words('photo.choose'), ensure_ascii=False)}; }}</style>"


def notice(kind: str, text: str, title: str = "") -> str:
    """A framed sentence. kind: `plain`, `warn` or `error`."""
    strong = f"<strong>{escape(title)}</strong>" if title else ""
    role = "alert" if kind == "error" else "note"
    return f'<div class="dc-notice dc-{kind}" role="{role}">{strong}<p>{escape(text)}</p></div>'


def step(number: int, title: str) -> str:
    """A section's heading."""
    return (
        f'<h2 class="dc-step" id="dc-step-{number}" tabindex="-1"><span aria-hidden="true">{number}</span>'
        f"{escape(title)}</h2>"
    )


def quiet(text: str) -> str:
    """A sentence in small print."""
    return f'<p class="dc-quiet">{escape(text)}</p>'


def picture(image_rgb: np.ndarray, alt: str, caption: str = "", lesion: Lesion | None = None) -> str:
    """A photo with its caption; with a lesion, the box found and the frame's centre are drawn on it."""
    height, width = image_rgb.shape[:2]
    marks = _reticle(height, width, lesion) if lesion else ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="dc-photo"><div><img src="{data_url(image_rgb)}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}"/>{marks}</div>{below}</figure>'
    )


def side_by_side(figures: Sequence[str]) -> str:
    """Pictures beside each other, also on a phone."""
    return f'<div class="dc-pair">{"".join(figures)}</div>'


def gamma_range(words: Words) -> str:
    """Below the slider of gamma: the part of it that the paper reports on."""
    low, high = (100 * (gamma - MIN_GAMMA) / (MAX_GAMMA - MIN_GAMMA) for gamma in PAPER_GAMMAS)
    meaning = words("correction.range", low=PAPER_GAMMAS[0], high=PAPER_GAMMAS[1])
    return (
        f'<div class="dc-range"><i aria-hidden="true"><u style="left:{low:.1f}%;width:{high - low:.1f}%"></u></i>'
        f'<p class="dc-quiet">{escape(meaning)}</p></div>'
    )


def finding_rows(findings: Sequence[Finding], words: Words) -> str:
    """The checks, one quiet row each."""
    rows = "".join(
        f'<li class="dc-{finding.severity}"><i aria-hidden="true"></i>'
        f"<div><b>{escape(words(f'checks.{check}'))}</b><em>{escape(words(f'checks.{finding.severity}'))}</em>"
        f"<p>{escape(words.advice(finding.code, finding.towards))}</p></div></li>"
        for check, finding in zip(CHECKS, findings, strict=True)
    )
    return f'<ul class="dc-findings" aria-label="{escape(words("checks.list"))}">{rows}</ul>'


def live_faults(findings: Sequence[LiveFinding], words: Words) -> str:
    """What the camera still had to say when its shutter was pressed, as one sentence; empty when all was well."""
    amiss = [finding for finding in findings if finding.severity != "ok"]
    amiss.sort(key=lambda finding: finding.severity != "block")
    said = [words(key) for finding in amiss if (key := f"live.{finding.code}") in words.sentences]
    return words("live.against", faults=words("language.list").join(said)) if said else ""


def probability_bars(scores: Iterable[Score], words: Words) -> str:
    """Ranked labels, each with its probability as a bar and in figures."""
    rows = "".join(
        f"<li><span>{escape(score.display)}</span><b>{percent(score.probability, words)}</b>"
        f'<i aria-hidden="true"><u style="width:{100 * score.probability:.1f}%"></u></i></li>'
        for score in scores
    )
    return f'<ol class="dc-bars">{rows}</ol>'


def body_site(locations: Sequence[Score], words: Words) -> str:
    """The likeliest body sites in one line."""
    first, *others = (f"{score.display} {percent(score.probability, words)}" for score in locations[:3])
    then = words("answer.then", sites=words("language.list").join(others))
    rest = f" <span>{escape(then)}</span>" if others else ""
    return f'<p class="dc-site"><small>{escape(words("answer.body_site"))}</small><b>{escape(first)}</b>{rest}</p>'


def heat_legend(
    label: str, words: Words, *, most: str = "heatmap.most", meaning: str = "heatmap.meaning"
) -> str:
    """What the colours of a heatmap mean.

    Args:
        most: key of the words for the strongest colour.
        meaning: key of the explanation, with a place for the label.
    """
    heat = np.linspace(0, 1, LEGEND_STOPS)
    colours = cv2.applyColorMap(np.round(heat * 255).astype(np.uint8)[:, None], COLOUR_MAP)[:, 0, ::-1]
    stops = ",".join(
        f"rgb({red} {green} {blue} / {min(level / FULL_OPACITY_AT, 1):.2f})"
        for level, (red, green, blue) in zip(heat, colours, strict=True)
    )
    explained = escape(words(meaning)).format(label=f"<b>{escape(label)}</b>")
    return (
        f'<div class="dc-legend"><i style="background:linear-gradient(90deg,{stops})" aria-hidden="true"></i>'
        f"<p><span>{escape(words('heatmap.least'))}</span><span>{escape(words(most))}</span></p></div>"
        f'<p class="dc-quiet">{explained}</p>'
    )


def details(card: ModelCard, model_id: str, words: Words) -> str:
    """The model's card, as a list of terms."""
    parts = (card.data.get("name"), words("details.drawings") if card.synthetic else None)
    trained_on = words("language.list").join(str(part) for part in parts if part)
    rows = [
        (words("details.model"), f"{card.name} ({card.architecture})"),
        (words("details.identity"), model_id[:16]),
        (words("details.trained_on"), trained_on or words("details.not_stated")),
        *metric_rows(card, words),
        (words("details.made"), card.created or words("details.not_stated")),
        (words("details.licence"), card.licence),
        (words("details.intended_use"), card.intended_use),
    ]
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" for term, value in rows)
    return f'<dl class="dc-details">{terms}</dl>'


def metric_rows(card: ModelCard, words: Words) -> list[tuple[str, str]]:
    """The card's shares with their 95% intervals, under its own names; counts and nested tables are left out."""
    rows = []
    for name, value in card.metrics.items():
        if isinstance(value, float) and 0 <= value <= 1 and not name.endswith("_interval"):
            share = f"{100 * value:.0f}%"
            if interval := card.metrics.get(f"{name}_interval"):
                low, high = (f"{100 * bound:.0f}" for bound in interval)
                share = words("details.interval", value=share, low=low, high=f"{high}%")
            term = name.replace("_", " ").replace("map ", "mAP-")
            rows.append((term[0].upper() + term[1:] if term[0] != "m" else term, share))
    return rows


def percent(probability: float, words: Words) -> str:
    """A probability as a person reads it."""
    if 0 < probability < 0.01:
        return words("answer.under", percent="1%")
    if 0.99 < probability < 1:
        return words("answer.over", percent="99%")
    return f"{100 * probability:.0f}%"


def data_url(image_rgb: np.ndarray) -> str:
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
