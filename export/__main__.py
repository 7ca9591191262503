"""From a run's folder to one verified ONNX file.

    python -m export runs/demo --out build/demo

The file appears under its name only after it has been compared with the checkpoint, by number; a file that
misses is kept beside it as `*.failed.onnx`, and the last good one stays as it was.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated

import tyro

from export.graph import write_graph
from export.targets import TARGETS, Target, find_target
from export.verify import Parity, varied_images, verify
from training.cli import EXIT_FAILED, run, whole_file
from training.errors import ModelFileError
from training.models.checkpoint import load_checkpoint

TARGET_HELP = (
    "What the file is to run on: " + "; ".join(f"{row.name}, {row.summary}" for row in TARGETS) + "."
)


class ParityMissed(ModelFileError):
    """An exported file differs from its checkpoint by more than its target allows."""


def export_run(
    run_folder: str | PathLike[str], out: str | PathLike[str], target: Target = TARGETS[0]
) -> tuple[Path, Parity]:
    """Write a run as one ONNX file, and compare it with the run before it gets its name.

    Args:
        run_folder: what `python -m training.fit` wrote.
        out: the folder for the file; made if it is not there.
        target: a row of `export.targets.TARGETS`.

    Returns:
        The file, and how it compared.

    Raises:
        CheckpointError: the run cannot be used.
        ParityMissed: the file differs too much; it is left as `*.failed.onnx`, and an older file is untouched.
    """
    checkpoint = load_checkpoint(run_folder)
    path = Path(out) / target.file_name
    failed = path.with_suffix(".failed.onnx")
    with whole_file(path) as temporary:
        write_graph(checkpoint, temporary)
        parity = verify(temporary, checkpoint, varied_images(checkpoint.card.preprocessing), target)
        if not parity.passed:
            with whole_file(failed) as copy:
                shutil.copyfile(temporary, copy)
            limits = target.tolerances
            raise ParityMissed(
                f"{parity.sentence()}; allowed are {limits.probability:.0e}, {limits.cam:.0e} and "
                f"{limits.features:.0e}: {path} was not written, look at {failed}."
            )
    failed.unlink(missing_ok=True)
    return path, parity


@dataclass(frozen=True)
class Arguments:
    """Write a finished run as one ONNX file that carries its preprocessing, heatmaps and card."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder that python -m training.fit wrote."""
    out: Path
    """The folder for model.onnx; made if it is not there."""
    target: Annotated[str, tyro.conf.arg(help=TARGET_HELP)] = TARGETS[0].name


def main(argv: Sequence[str] | None = None) -> int | None:
    arguments = tyro.cli(Arguments, prog="python -m export", args=argv)
    target = find_target(arguments.target)
    print(f"exporting {arguments.run} for {target.name} ({target.summary})", file=sys.stderr)
    try:
        path, parity = export_run(arguments.run, arguments.out, target)
    except ParityMissed as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(parity.sentence(), file=sys.stderr)
    print(path)
    return None


if __name__ == "__main__":
    sys.exit(run(main))
