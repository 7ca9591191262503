"""The pieces of the comparison, as HTML strings: pure functions, every text from outside escaped.

    st.html(label_table(rows, words))

Torch-free.
"""

from collections.abc import Sequence
from html import escape

from capture_app import view
from capture_app.comparison import PLACES, ComparedLabel
from capture_app.reading import Reading
from capture_app.words import Words

MINUS = "\N{MINUS SIGN}"


def heading(title: str, screen: str) -> str:
    """The heading of a screen that takes the place of another, with what brings the person to it.

    Args:
        screen: a name of its own; the page scrolls there once, when the screen is new.
    """
    name = f"dc-{escape(screen)}"
    return (
        f'<h2 class="dc-step" id="{name}" tabindex="-1"><span class="dc-two" aria-hidden="true"></span>'
        f"{escape(title)}</h2>{arrival(name, to_top=True)}"
    )


def arrival(element_id: str, *, to_top: bool) -> str:
    """A script that brings eye and focus to an element, as a new page would.

    Args:
        to_top: show the top of the page, of which the element is the first thing to read.
    """
    scroll = (
        'document.querySelector("[data-testid=stMain]").scrollTo(0, 0)'
        if to_top
        else 'element.scrollIntoView({ block: "start" })'
    )
    return (
        f'<script>{{ const element = document.getElementById("{element_id}");'
        f"if (element) {{ {scroll}; element.focus({{ preventScroll: true }}); }} }}</script>"
    )


def kept_photo(reading: Reading, kept: str, advice: str) -> str:
    """The photo that stays, small, while another is asked for."""
    return (
        f'<div class="dc-kept"><img src="{view.data_url(reading.shown)}" alt=""/>'
        f"<p><strong>{escape(kept)}</strong>{escape(advice)}</p></div>"
    )


def faults(reading: Reading, words: Words) -> str:
    """What the checks and the camera found amiss on a photo, in a few words each."""
    live = ((finding.code, finding.severity) for finding in reading.live)
    checked = ((finding.code, finding.severity) for finding in reading.quality.findings)
    found = {
        code: severity
        for code, severity in (*live, *checked)
        if severity != "ok" and f"live.{code}" in words.sentences
    }
    rows = [
        f'<li class="dc-{severity}"><i aria-hidden="true"></i><span>{escape(words(f"live.{code}"))}</span></li>'
        for code, severity in sorted(found.items(), key=lambda one: one[1] != "block")
    ]
    if not rows:
        good = escape(words("compare.good"))
        rows = [f'<li class="dc-ok"><i aria-hidden="true"></i><span>{good}</span></li>']
    name = escape(words("checks.list"))
    return f'<ul class="dc-findings dc-faults" aria-label="{name}">{"".join(rows)}</ul>'


def label_table(rows: Sequence[ComparedLabel], words: Words) -> str:
    """Ranked labels with the probabilities of both photos, as figures and bars, and the difference in points."""
    photos = "".join(
        f'<th scope="col">{escape(words("compare.photo", place=place))}</th>' for place in PLACES
    )
    head = (
        f'<tr><th scope="col">{escape(words("compare.label"))}</th>{photos}'
        f'<th scope="col">{escape(words("compare.difference"))} '
        f"<small>{escape(words('compare.points'))}</small></th></tr>"
    )
    body = "".join(
        f'<tr><th scope="row">{escape(row.display)}</th>'
        + "".join(
            f'<td><b>{view.percent(probability, words)}</b><i aria-hidden="true">'
            f'<u style="width:{100 * probability:.1f}%"></u></i></td>'
            for probability in row.probabilities
        )
        + f"<td>{signed(row.points)}</td></tr>"
        for row in rows
    )
    caption = escape(words("compare.table"))
    return (
        f'<table class="dc-compared"><caption>{caption}</caption>'
        f"<thead>{head}</thead><tbody>{body}</tbody></table>"
    )


def signed(points: int) -> str:
    """A difference with its sign; none for 0."""
    return f"+{points}" if points > 0 else f"{MINUS}{-points}" if points < 0 else "0"
