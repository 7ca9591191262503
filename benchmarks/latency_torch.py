"""torch's ways of answering the same photos: eager, compiled, in half precision on CUDA.

    bind = open_eager(Subject("torch eager", "runs/demo", precision="fp32", threads=2))

All of them run the checkpoint behind its own preprocessing, on the same uint8 photos as the exported files.
"""

import functools
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch._dynamo.config as dynamo_config
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.latency_variants import COMPILED, EAGER, HALF_ON_CUDA, Bind, Call, Subject
from export.graph import DeployableClassifier
from training.models.card import ModelCard
from training.models.checkpoint import load_checkpoint
from training.models.networks import build_network

COMPILERS = (os.environ.get("CXX", "g++"), "clang++", "cl")
"""What torch.compile may translate with on a CPU."""
MOST_COMPILED = 256
"""Batch sizes and thread counts are compiled one by one; torch gives up at 8 unless it is told."""


def why_not_compiled() -> str | None:
    """One sentence if torch.compile cannot run here."""
    if any(shutil.which(compiler) for compiler in COMPILERS):
        return None
    return f"torch.compile: not measured, no C++ compiler ({', '.join(COMPILERS)}) is installed."


def open_eager(subject: Subject) -> Bind:
    """The module that is exported, as torch runs it: probabilities, heatmaps, features."""
    return _bind(_deployable(subject), subject.threads)


def open_compiled(subject: Subject) -> Bind:
    """The same, translated once for every batch size, its weights as constants that may be folded and packed."""
    dynamo_config.recompile_limit = MOST_COMPILED
    compiled: Callable[[torch.Tensor], Any] = torch.compile(
        _deployable(subject), dynamic=False, options={"freezing": True}
    )
    return _bind(compiled, subject.threads)


def open_half_on_cuda(subject: Subject) -> Bind:
    """Half precision, channels last; photos come from the CPU's memory and answers go back there."""
    module = _deployable(subject).cuda()
    module.network.to(torch.float16).to(memory_format=torch.channels_last)
    network = module.network.feature_map
    module.network.feature_map = lambda image: network(  # type: ignore[method-assign]
        image.to(dtype=torch.float16, memory_format=torch.channels_last)
    )

    def answer(image: torch.Tensor) -> list[torch.Tensor]:
        return [output.float().cpu() for output in module(image.cuda())]

    return _bind(answer, subject.threads)


def multiply_adds(card: ModelCard) -> int:
    """Of the trunk and its heads for one photo, counted by torch on tensors without content."""
    n_heads = len(card.lesion_labels), len(card.location_labels)
    return _multiply_adds(card.architecture, *n_heads, card.preprocessing.input_size)


@functools.cache
def _multiply_adds(architecture: str, n_lesions: int, n_locations: int, size: int) -> int:
    with torch.device("meta"):
        network = build_network(architecture, n_lesions, n_locations).eval()
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.empty(1, 3, size, size))
    return counter.get_total_flops() // 2


def _deployable(subject: Subject) -> DeployableClassifier:
    checkpoint = load_checkpoint(subject.path)
    return DeployableClassifier(checkpoint.network, checkpoint.card).eval()


def _bind(answer: Callable[[torch.Tensor], Any], threads: int) -> Bind:
    def bind(images: Sequence[np.ndarray]) -> Call:
        array = torch.from_numpy(np.stack(images))

        def call() -> object:
            use_threads(threads)
            with torch.inference_mode():
                return answer(array)

        return call

    return bind


def use_threads(threads: int) -> None:
    """torch has one number for the whole process; the call that is not counted pays for the change."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


OPENERS: dict[str, Callable[[Subject], Bind]] = {
    EAGER: open_eager,
    COMPILED: open_compiled,
    HALF_ON_CUDA: open_half_on_cuda,
}
