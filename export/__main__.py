"""From a run's folder to verified ONNX files, one a target.

    python -m export runs/demo --out build/demo
    python -m export runs/demo --out build/demo --target cpu-fp32 cpu-int8 cuda-fp16 --data phantom

A file appears under its name only after it has been compared with the checkpoint, by number; a file that
misses is kept beside it as `*.failed.onnx`, and the last good one stays as it was.
"""

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

import onnx
import tyro

from export.graph import write_graph
from export.half import out_of_range, to_half
from export.parity import Parity
from export.photos_of_run import LabelledPhotos, RunPhotos, drawn_photos, run_photos
from export.quantize import Quantiser
from export.targets import TARGETS, Target, find_target
from export.trunk import layer_name, trunk_nodes, write_card
from export.verify import verify
from training.cli import EXIT_FAILED, EXIT_OK, run, whole_file, write_text
from training.errors import ModelFileError
from training.models.card import ModelCard
from training.models.checkpoint import Checkpoint, load_checkpoint

TARGET_HELP = (
    "What the files are to run on, one file each: "
    + "; ".join(f"{row.name}, {row.summary}" for row in TARGETS)
    + "."
)


class ParityMissed(ModelFileError):
    """An exported file differs from its checkpoint by more than its target allows."""


@dataclass(frozen=True)
class Exporter:
    """A run and its fp32 graph, from which every target's file is made.

    photos: the run's own, to calibrate and to compare on; None compares on drawn pictures.
    """

    checkpoint: Checkpoint
    graph: onnx.ModelProto
    photos: RunPhotos | None = None

    @classmethod
    def open(cls, run_folder: str | PathLike[str], data: str | None = None) -> "Exporter":
        """Read the run, and its photos if `data` names the set that it was trained on.

        Raises:
            CheckpointError: the run cannot be used.
            DataError: `data` is not the run's.
        """
        checkpoint = load_checkpoint(run_folder)
        photos = None if data is None else run_photos(checkpoint.card, data)
        with tempfile.TemporaryDirectory() as folder:
            write_graph(checkpoint, Path(folder) / "graph.onnx")
            return cls(checkpoint, onnx.load(Path(folder) / "graph.onnx"), photos)

    def export(self, out: str | PathLike[str], target: Target = TARGETS[0]) -> tuple[Path, Parity]:
        """Write a target's file, and compare it with the run before it gets its name.

        Args:
            out: the folder for the file; made if it is not there.
            target: a row of `export.targets.TARGETS`.

        Returns:
            The file, and how it compared.

        Raises:
            ModelFileError: the target needs photos and there are none.
            ParityMissed: the file differs too much; it is left as `*.failed.onnx`, its figures beside it; an older
                file is untouched.
        """
        path = Path(out) / target.file_name
        failed, figures = path.with_suffix(".failed.onnx"), path.with_suffix(".failed.json")
        with whole_file(path) as temporary:
            for write in self._attempts(target):
                write(temporary)
                parity = verify(temporary, self.checkpoint, self._comparison(), target)
                if parity.passed:
                    break
                print(f"{parity.sentence()}; missed: {'; '.join(parity.missed)}", file=sys.stderr)
            else:
                with whole_file(failed) as copy:
                    shutil.copyfile(temporary, copy)
                write_text(figures, json.dumps(parity.to_json(), indent=2) + "\n")
                raise ParityMissed(
                    f"target {target.name} is missed ({'; '.join(parity.missed)}): {path} was not written; "
                    f"look at {failed} and, for all figures, {figures}."
                )
        failed.unlink(missing_ok=True)
        figures.unlink(missing_ok=True)
        return path, parity

    def _comparison(self) -> LabelledPhotos:
        if self.photos is not None:
            return self.photos.comparison
        return drawn_photos(self.checkpoint.card.preprocessing)

    def _attempts(self, target: Target) -> Iterator[Callable[[Path], None]]:
        """Ways to write the target's file: for half precision the whole trunk, then all but its stem."""
        notes: dict[str, Any] = {"target": target.name, "precision": target.precision}
        if target.precision == "fp32":
            yield lambda path: self._save(self.graph, path, notes)
            return
        if target.precision == "int8":
            calibration = self._calibration(target)
            quantiser = Quantiser(self.graph, calibration.images)
            notes |= {"calibrated_on": calibration.source, "kept_in_fp32": quantiser.kept}
            yield partial(quantiser.write, card=self._card(notes))
            return
        seen = self._comparison() if self.photos is None else self.photos.calibration
        beyond = out_of_range(self.graph, seen.images)
        stem = layer_name(trunk_nodes(self.graph)[0])
        for layer, magnitude in beyond.items():
            print(
                f"{layer} reaches {magnitude:.3g}, which fp16 hardly holds: it stays in fp32", file=sys.stderr
            )
        for kept in (list(beyond), [*beyond, stem]):
            yield partial(self._save, to_half(self.graph, kept), notes=notes | {"kept_in_fp32": kept})

    def _save(self, graph: onnx.ModelProto, path: Path, notes: dict[str, Any]) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(graph)
        write_card(model, self._card(notes))
        onnx.save(model, path)

    def _calibration(self, target: Target) -> LabelledPhotos:
        if self.photos is None:
            raise ModelFileError(
                f"target {target.name} is calibrated on the run's own training photos; name the data set that it "
                f"was trained on ({self.checkpoint.card.data.get('name', 'unknown')}) with --data."
            )
        return self.photos.calibration

    def _card(self, notes: dict[str, Any]) -> ModelCard:
        return dataclasses.replace(self.checkpoint.card, export=notes)


@dataclass(frozen=True)
class Arguments:
    """Write a finished run as ONNX files that carry their preprocessing, heatmaps and card."""

    run: Annotated[Path, tyro.conf.Positional]
    """The folder that python -m training.fit wrote."""
    out: Path
    """The folder for the files; made if it is not there."""
    target: Annotated[tuple[str, ...], tyro.conf.arg(help=TARGET_HELP)] = (TARGETS[0].name,)
    data: str | None = None
    """The data set that the run was trained on, as python -m training.fit takes it: int8 is calibrated on its
    training photos, and every file compared on photos of it; without it, on drawn pictures."""

    def __post_init__(self) -> None:
        if not self.target:
            raise ModelFileError(f"--target names none; valid are {', '.join(row.name for row in TARGETS)}.")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m export", args=argv)
    targets = [find_target(name) for name in arguments.target]
    exporter = Exporter.open(arguments.run, arguments.data)
    missed = False
    for target in targets:
        print(f"exporting {arguments.run} for {target.name} ({target.summary})", file=sys.stderr)
        try:
            path, parity = exporter.export(arguments.out, target)
        except ParityMissed as error:
            print(f"error: {error}", file=sys.stderr)
            missed = True
            continue
        print(parity.sentence(), file=sys.stderr)
        print(path)
    return EXIT_FAILED if missed else EXIT_OK


if __name__ == "__main__":
    sys.exit(run(main))
