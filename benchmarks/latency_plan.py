"""Which variants a run of `benchmarks.latency` has: every file alone and bare, its copies, and its peers.

    plan = plan_variants([Path("model.onnx")], threads=(1, 2), run=Path("runs/demo"), scratch=Path("/tmp/x"))

What cannot be measured here is left out with a sentence; nothing else is put in its place.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from benchmarks.latency_torch import why_not_compiled
from benchmarks.latency_variants import (
    CLASSIFIER,
    COMPILED,
    EAGER,
    GRAD_CAM,
    HALF_ON_CUDA,
    NO_HEATMAP,
    OPENVINO,
    OPENVINO_NNCF,
    SESSION,
    Subject,
    drawn_photos,
    without_heatmap,
)
from export.runtime import Classifier
from export.targets import Target, find_target
from training.errors import ModelFileError, UserError
from training.models.card import ModelCard
from training.models.checkpoint import load_checkpoint

CALIBRATION_PHOTOS = 8
"""Drawn ones: for the speed of 8 bits it does not matter what they show."""


@dataclass(frozen=True)
class Given:
    """A file that was named on the command line."""

    path: Path
    card: ModelCard
    model_id: str
    target: Target


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    given: tuple[Given, ...]
    run_card: ModelCard | None
    subjects: tuple[Subject, ...]
    left_out: tuple[str, ...]

    def card_of(self, subject: Subject) -> ModelCard:
        """Of the file, or of the run that a peer runs."""
        found = next((given.card for given in self.given if str(given.path) == subject.source), self.run_card)
        if found is None:
            raise ValueError(f"{subject} is of no model in this plan")
        return found

    def model_id_of(self, subject: Subject) -> str | None:
        """None for what runs the checkpoint."""
        return next((given.model_id for given in self.given if str(given.path) == subject.source), None)


def plan_variants(models: Sequence[Path], threads: Sequence[int], run: Path | None, scratch: Path) -> Plan:
    """Read the files, and write the copies that some variants run into `scratch`.

    Args:
        models: ONNX files written by `python -m export`.
        threads: CPU threads a call; what runs on a GPU is measured with the greatest number alone.
        run: the folder of the run that the peers run; None leaves them out.
        scratch: a folder that outlives the measurement.

    Raises:
        ModelFileError: a file cannot be opened.
        CheckpointError: the run cannot be used.
        UserError: a model is not of that run.
    """
    given, left_out = [], []
    for path in models:
        classifier = Classifier(path)
        target = find_target(classifier.card.export.get("target", "cpu-fp32"))
        if target.provider == "cuda" and classifier.provider != "cuda":
            left_out.append(f"{target.name} ({path.name}): not measured, {_why_not_cuda(path)}")
            continue
        given.append(Given(path, classifier.card, classifier.model_id, target))
    subjects = [subject for i, one in enumerate(given) for subject in _own(one, threads, scratch / str(i))]
    card = None
    if run is not None:
        card = load_checkpoint(run).card
        for one in given:
            _check_same(one, card, run)
        for subject, sentence in _peers(given, run, threads, scratch):
            subjects += [] if subject is None else [subject]
            left_out += [] if sentence is None else [sentence]
    return Plan(tuple(given), card, tuple(subjects), tuple(dict.fromkeys(left_out)))


def _why_not_cuda(path: Path) -> str:
    try:
        Classifier(path, provider="cuda")
    except ModelFileError as error:
        return str(error)
    return "CUDA does not run here."


def _own(given: Given, threads: Sequence[int], folder: Path) -> Iterator[Subject]:
    folder.mkdir(parents=True)
    pruned = folder / "no-heatmap.onnx"
    onnx.save(without_heatmap(onnx.load(given.path)), pruned)
    cuda = given.target.provider == "cuda"
    for n_threads in (max(threads),) if cuda else threads:
        for kind, path in ((CLASSIFIER, given.path), (SESSION, given.path), (NO_HEATMAP, pruned)):
            yield Subject(
                kind, str(path), given.target.precision, n_threads, given.target.provider, str(given.path)
            )


def _peers(
    given: Sequence[Given], run: Path, threads: Sequence[int], scratch: Path
) -> Iterator[tuple[Subject | None, str | None]]:
    """A subject, or a sentence on one that cannot be measured."""
    compiles = why_not_compiled()
    eager = Subject(EAGER, str(run), "fp32", max(threads))
    grad_cam = importlib.util.find_spec("pytorch_grad_cam") is not None
    openvino = importlib.util.find_spec("openvino") is not None
    if not grad_cam:
        yield None, f"{GRAD_CAM}: not measured, it is not installed (pip install grad-cam)."
    if not openvino:
        yield None, f"{OPENVINO}: not measured, it is not installed (pip install 'dermcapture[bench]')."
    for n_threads in threads:
        yield replace(eager, threads=n_threads), None
        yield (None, compiles) if compiles else (replace(eager, kind=COMPILED, threads=n_threads), None)
        if grad_cam:
            yield replace(eager, kind=GRAD_CAM, threads=n_threads), None
    if any(one.target.provider == "cuda" for one in given):
        yield replace(eager, kind=HALF_ON_CUDA, precision="fp16", provider="cuda"), None
    if openvino:
        for one in given:
            yield from _openvino(one, threads, scratch)


def _openvino(
    given: Given, threads: Sequence[int], scratch: Path
) -> Iterator[tuple[Subject | None, str | None]]:
    if given.target.provider != "cpu":
        return
    source = str(given.path)
    for n_threads in threads:
        yield Subject(OPENVINO, source, given.target.precision, n_threads, source=source), None
    if given.target.precision != "fp32":
        return
    from benchmarks.latency_openvino import why_no_nncf, write_nncf

    if sentence := why_no_nncf():
        yield None, sentence
        return
    side = given.card.preprocessing.decode_min_side
    quantised = scratch / f"nncf-{given.model_id[:12]}.xml"
    write_nncf(given.path, quantised, drawn_photos(CALIBRATION_PHOTOS, (side, side)))
    for n_threads in threads:
        yield Subject(OPENVINO_NNCF, str(quantised), "int8", n_threads, source=source), None


def _check_same(given: Given, card: ModelCard, run: Path) -> None:
    fields = ("architecture", "preprocessing", "lesion_labels", "location_labels")
    if any(getattr(given.card, name) != getattr(card, name) for name in fields):
        raise UserError(
            f"{given.path} is not of the run {run} (network, input or labels differ), so its peers would do other "
            "work; name with --against the run that it was exported from."
        )
