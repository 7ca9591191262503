"""A run's report: one self-contained HTML page, figures inside it.

write_report(Path("runs/demo/report.html"), card, history, training_counts, validation_counts)
"""

import base64
from pathlib import Path
from typing import Any

import jinja2

from training.cli import write_text
from training.evaluation import plots
from training.evaluation.summary import headline
from training.models.card import ModelCard


def write_report(
    path: Path,
    card: ModelCard,
    history: dict[str, Any],
    training_counts: dict[str, int],
    validation_counts: dict[str, int],
) -> None:
    """Draw the figures and write the page, whole or not at all."""
    names = [label.display for label in card.lesion_labels]
    figures = {"counts": plots.plot_counts(training_counts, validation_counts, names)}
    if history["range_test"]:
        figures["range_test"] = plots.plot_range_test(history["range_test"])
    figures["learning_rate"] = plots.plot_learning_rate(history)
    figures["losses"] = plots.plot_losses(history)
    if "confusion" in card.metrics:
        figures["confusion"] = plots.plot_confusion(card.metrics["confusion"], names)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("report.html.jinja").render(
        card=card,
        history=history,
        headline=headline(card.metrics),
        figures={name: base64.b64encode(png).decode() for name, png in figures.items()},
        display={label.name: label.display for label in card.lesion_labels},
    )
    write_text(path, page)
