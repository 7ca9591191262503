"""The gallery as one self-contained HTML page, figures inside it.

write_page(Path("explained/explain.html"), card, result, cases)
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from training.cli import write_text
from training.explanations.gallery import Case
from training.models.card import ModelCard


def write_page(path: Path, card: ModelCard, result: dict[str, Any], cases: Sequence[Case]) -> None:
    """Write the page, whole or not at all.

    Args:
        result: what `training.explain.explain_run` found; `cases.json` holds the same.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("explain.html.jinja").render(
        card=card,
        result=result,
        cases=[(case, base64.b64encode(case.figure_png).decode()) for case in cases],
        display={label.name: label.display for label in card.lesion_labels},
    )
    write_text(path, page)
