"""A reproduction's report: one self-contained HTML page, the paper's tables and figures by their numbers.

write_report(Path("out/report.html"), "mishra2019", results, figures)
"""

import base64
from pathlib import Path
from typing import Any

import jinja2

from training.cli import write_text
from training.data.datasets.registry import display_name

Value = dict[str, float]


def write_report(path: Path, template: str, results: dict[str, Any], figures: dict[str, bytes]) -> None:
    """Fill `TEMPLATE.html.jinja`, whole or not at all.

    Args:
        results: as `results.json` has them.
        figures: PNG bytes by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "points": _points, "display": display_name}
    page = environment.get_template(f"{template}.html.jinja").render(
        **results, pictures={name: base64.b64encode(png).decode() for name, png in figures.items()}
    )
    write_text(path, page)


def _percent(value: Value | float | None) -> str:
    """A share, with its interval where it has one."""
    if value is None:
        return "no photo"
    if isinstance(value, dict):
        return f"{100 * value['value']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"
    return f"{100 * value:.1f} %"


def _points(value: Value | None) -> str:
    """A difference of two shares with its interval, in percentage points."""
    if value is None:
        return ""
    return f"{100 * value['value']:+.1f} ({100 * value['low']:+.1f} to {100 * value['high']:+.1f})"
