"""Photos in, ranked labels and heatmaps out: model.onnx, opened and run by onnxruntime alone.

    prediction = Classifier("model.onnx").predict([read_photo("lesion.jpg", min_side=288).image_rgb])[0]

Everything else that a prediction needs (labels, crop, calibration) stands in the file's card. Torch-free.
"""

import contextlib
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from export.contract import (
    FEATURES,
    IMAGE,
    LESION_CAM,
    LESION_PROBABILITIES,
    LOCATION_PROBABILITIES,
    output_shapes,
)
from training.errors import ModelFileError, PhotoError
from training.models.card import METADATA_KEY, Label, ModelCard

Provider = Literal["auto", "cpu", "cuda"]

MAX_BATCH = 16
"""Photos of one size that go through the network together."""
MAX_BATCH_PIXELS = 16_000_000
"""Pixels, of all photos of a batch together: what bounds the memory that full-size photos take."""

SHORTEST_ID = 12
"""Hexadecimal digits by which a file is told from any other that somebody has at hand."""

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
LOG_WARNING, LOG_ERROR, LOG_FATAL = 2, 3, 4
NEWER = {
    r"Opset (\d+) is under development.*is till opset (\d+)": "ONNX opset",
    r"IR version: (\d+), max supported IR version: (\d+)": "ONNX IR version",
}
"""What onnxruntime says of a file that is newer than it is, and of which kind of number."""
UNREADABLE = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True)
class Score:
    """A label and its calibrated probability in [0, 1]."""

    name: str
    display: str
    probability: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one photo."""

    lesions: tuple[Score, ...]
    """All lesion labels, most probable first."""
    locations: tuple[Score, ...]
    """All body sites, most probable first; empty for a model with one head."""
    lesion_cam: np.ndarray = field(repr=False)
    """(P, h, w) float32, in units of the logit, labels in `lesion_names`' order."""
    lesion_names: tuple[str, ...] = field(repr=False)
    """The card's order of labels."""
    view_box: tuple[int, int, int, int]
    """The square of the given photo that the network saw, pixels: (x0, y0, x1, y1), x1 and y1 exclusive."""
    features: np.ndarray = field(repr=False)
    """(C,) float32, the pooled feature vector."""
    model_id: str
    """SHA-256 of the model's file, in hex."""

    def cam_of(self, name: str) -> np.ndarray:
        """The class activation map of one lesion label: (h, w) float32, in units of the logit.

        Raises:
            KeyError: the model has no such label.
        """
        if name not in self.lesion_names:
            raise KeyError(f"no lesion label '{name}'; valid are {', '.join(self.lesion_names)}")
        return self.lesion_cam[self.lesion_names.index(name)]


class Classifier:
    """An exported model, ready to look at photos. `predict` may be called from several threads at once.

    Args:
        path: the model's file, written by `python -m export`.
        provider: `cpu`, `cuda`, or `auto` for CUDA where it really runs and the CPU everywhere else.
        threads: of the CPU, for one call of `predict`; None for one a physical core.
        expected_id: the SHA-256, in hex, that the file must have, or its first 12 digits or more; None takes any
            file.

    Attributes:
        card: the model's card.
        model_id: SHA-256 of the model's file, in hex.
        path: where the file was read.
        provider: what the session really runs on, `cpu` or `cuda`.

    Raises:
        ModelFileError: the file is not there, damaged, not one of ours, not the one expected, or cannot run on
            that provider.
    """

    card: ModelCard
    model_id: str
    path: Path
    provider: str

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        provider: Provider = "auto",
        threads: int | None = None,
        expected_id: str | None = None,
    ) -> None:
        if provider not in ("auto", "cpu", "cuda"):
            raise ModelFileError(f"provider is '{provider}'; valid are auto, cpu and cuda.")
        if threads is not None and threads < 1:
            raise ModelFileError(f"threads is {threads}; at least 1 is needed.")
        self.path = Path(path)
        _check_readable(self.path)
        with ThreadPoolExecutor(1) as beside:  # The hash takes about as long as the session.
            reading = beside.submit(_sha256, self.path)
            if expected_id is not None:
                _check_id(reading.result(), expected_id, self.path)
            self._session = _open_session(self.path, provider, threads)
            self.model_id = reading.result()
        self.provider = "cuda" if CUDA in self._session.get_providers() else "cpu"
        self.card = _read_card(self._session, self.path)
        _check_contract(self._session, self.card, self.path)

    def predict(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Classify photos; those of equal size go through the network together.

        Args:
            images: each (H, W, 3) uint8, RGB, upright; sizes may differ.

        Returns:
            One prediction a photo, in the photos' order.

        Raises:
            PhotoError: an array is not of that dtype and shape.
        """
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            _check_image(image, index)
            by_size[image.shape].append(index)
        predictions: dict[int, Prediction] = {}
        for (height, width, _), members in by_size.items():
            batch_size = max(1, min(MAX_BATCH, MAX_BATCH_PIXELS // (height * width)))
            for start in range(0, len(members), batch_size):
                batch = members[start : start + batch_size]
                predictions.update(zip(batch, self._predict_batch([images[i] for i in batch]), strict=True))
        return [predictions[index] for index in range(len(predictions))]

    def warm_up(self) -> None:
        """Classify a grey square of the size of decoded photos, so that the first photo need not wait."""
        side = self.card.preprocessing.decode_min_side
        self.predict([np.full((side, side, 3), 127, np.uint8)])

    def _predict_batch(self, images: list[np.ndarray]) -> list[Prediction]:
        names = [output.name for output in self._session.get_outputs()]
        outputs = dict(zip(names, self._session.run(names, {IMAGE: np.stack(images)}), strict=True))
        height, width = images[0].shape[:2]
        return [
            Prediction(
                lesions=_rank(self.card.lesion_labels, outputs[LESION_PROBABILITIES][i]),
                locations=_rank(self.card.location_labels, outputs[LOCATION_PROBABILITIES][i])
                if LOCATION_PROBABILITIES in outputs
                else (),
                lesion_cam=outputs[LESION_CAM][i],
                lesion_names=tuple(label.name for label in self.card.lesion_labels),
                view_box=self.card.preprocessing.view_box(height, width),
                features=outputs[FEATURES][i],
                model_id=self.model_id,
            )
            for i in range(len(images))
        ]


def _rank(labels: tuple[Label, ...], probabilities: np.ndarray) -> tuple[Score, ...]:
    order = np.argsort(-probabilities, kind="stable")
    return tuple(Score(labels[i].name, labels[i].display, float(probabilities[i])) for i in order)


def _check_image(image: Any, index: int) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise PhotoError(f"image {index} is {kind}; a NumPy array of uint8 (0 to 255) is needed.")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise PhotoError(
            f"image {index} has shape {image.shape}; (height, width, 3) in RGB is needed, one photo an array."
        )


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder; name the model.onnx in it.") from None
    except FileNotFoundError:
        raise ModelFileError(
            f"{path} is not there; check the path, or write a model with: python -m export RUN --out DIR."
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_id(model_id: str, expected_id: str, path: Path) -> None:
    if len(expected_id) < SHORTEST_ID:
        raise ModelFileError(
            f"the expected id is '{expected_id}'; at least the first {SHORTEST_ID} digits of the file's SHA-256 "
            "are needed (python -m export.describe prints it)."
        )
    if not model_id.startswith(expected_id.lower()):
        raise ModelFileError(
            f"{path} has the SHA-256 {model_id} and {expected_id} is expected: it is another model, or was "
            "altered; get the right file, or expect this one."
        )


def _open_session(path: Path, provider: Provider, threads: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_ERROR
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    offered = CUDA in onnxruntime.get_available_providers()
    if provider == "cuda" and not offered:
        raise ModelFileError(
            "provider is 'cuda' and this onnxruntime was built without it; install onnxruntime-gpu in place "
            "of onnxruntime (pip uninstall onnxruntime; pip install 'dermcapture[gpu]'), or use cpu."
        )
    try:
        if provider == "cpu" or not offered:
            return onnxruntime.InferenceSession(path, options, providers=[CPU])
        # A GPU build on a machine without its libraries logs and prints an alarm, then runs on the CPU. What
        # it really runs on is looked up in the session, so that noise is held back.
        options.log_severity_level = LOG_FATAL
        with _quiet_onnxruntime():
            onnxruntime.preload_dlls()
            session = onnxruntime.InferenceSession(path, options, providers=[CUDA, CPU])
    except UNREADABLE as error:
        raise ModelFileError(_why_unreadable(path, str(error))) from error
    if provider == "cuda" and CUDA not in session.get_providers():
        raise ModelFileError(
            "provider is 'cuda' and onnxruntime could not start it: no NVIDIA GPU, driver, CUDA or cuDNN "
            "that fits; look at nvidia-smi, install 'dermcapture[gpu]', or use cpu."
        )
    return session


@contextlib.contextmanager
def _quiet_onnxruntime() -> Iterator[None]:
    onnxruntime.set_default_logger_severity(LOG_FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        onnxruntime.set_default_logger_severity(LOG_WARNING)


def _why_unreadable(path: Path, message: str) -> str:
    """One sentence from what onnxruntime said, without its places in C++."""
    for pattern, what in NEWER.items():
        if found := re.search(pattern, message):
            return (
                f"{path} is written in {what} {found[1]} and onnxruntime {onnxruntime.__version__} knows up to "
                f"{found[2]}; update onnxruntime, or write the file again with python -m export."
            )
    line = re.sub(r"/onnxruntime_src/.*\) ", " ", message.partition("\n")[0])
    said = line.rpartition(" : ")[2].strip().rstrip(".")
    return (
        f"{path} is not an ONNX file that onnxruntime {onnxruntime.__version__} can run, or is cut short "
        f"({said}); copy it again, or write it again with python -m export."
    )


def _read_card(session: onnxruntime.InferenceSession, path: Path) -> ModelCard:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path} carries no model card, so its labels and preprocessing are unknown; "
            "give a model.onnx that was written by python -m export."
        )
    try:
        return ModelCard.from_json(text)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def _check_contract(session: onnxruntime.InferenceSession, card: ModelCard, path: Path) -> None:
    """Names, element types and shapes of inputs and outputs, against what the card promises."""
    inputs = [(node.name, node.type, len(node.shape), node.shape[-1:]) for node in session.get_inputs()]
    if inputs != [(IMAGE, "tensor(uint8)", 4, [3])]:
        found = ", ".join(f"{node.name} {node.type} {node.shape}" for node in session.get_inputs())
        raise ModelFileError(
            f"{path} takes {found or 'nothing'}; one input, {IMAGE}, of uint8 (N, H, W, 3) is needed: "
            "export the model again with this version."
        )
    found_shapes = {node.name: node.shape for node in session.get_outputs()}
    for name, shape in output_shapes(card).items():
        given = found_shapes.get(name)
        fits = given is not None and len(given) == len(shape)
        if not fits or any(w is not None and g != w for g, w in zip(given or (), shape, strict=True)):
            wanted = tuple("*" if size is None else size for size in shape)
            raise ModelFileError(
                f"{path} gives {name} as {'nothing' if given is None else given} and its card promises {wanted}; "
                "export the model again with this version."
            )
