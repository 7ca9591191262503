"""Train the locator, which tells the capture checks where the lesion is, and write its weights.

    python -m benchmarks.guidance_locator path/to/pad_ufes_20 --teacher path/to/resnet18.safetensors

It learns from photos with lesion masks, of the patients on the training side of `guidance_parts.on_training_side`
only, and from phantoms of a seed of its own; `benchmarks.guidance` measures on others. All are varied anew for
every step (`guidance_vary`), so that a lesion counts wherever it lies, however small, and whatever the light.

With `--teacher`, ImageNet's weights, a larger network learns from the photos first (`guidance_finder`), and half
of each mask is what that one says: where a hand drew a lesion's border as few others would, the locator is not
held to it. An hour on two cores; what was interrupted goes on from its last checkpoint when the same is asked
again.
"""

import itertools
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from benchmarks.guidance_defects import TONES, Defect, draw_phantom
from benchmarks.guidance_finder import FINDER_STEPS, TELL_S, softened, train_finder
from benchmarks.guidance_parts import MaskedPhoto, masked_photos, on_training_side
from benchmarks.guidance_step import Checkpoint, fingerprint, learn, loss_of
from benchmarks.guidance_vary import FAR_EXTENT, Sheet, vary
from training.cli import run, whole_file
from training.data.datasets.phantom_capture import RANGES
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.errors import DataError
from training.machine import machine

CHANNELS = (24, 48, 96, 128, 160)
"""Of the five scales."""
BATCH, MAX_LR, WEIGHT_DECAY = 24, 6e-3, 1e-3
PHANTOMS, PHANTOM_SEED, PHANTOM_SHARE = 720, 303, 0.3
"""Drawn before training, their seed, and their share of every batch."""
DARK_SHARE = 0.5
"""Of the phantoms, those drawn with the two darkest tones: photos of such skin are the fewest."""
PHANTOM_KINDS = (0.45, 0.35, 0.2)
"""Shares of them: as they are, from afar, in poor light or aside."""
SAVE_STEPS = 500
"""Between two checkpoints."""


class Block(nn.Module):
    """3x3 within each channel, 1x1 across them, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depth = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.point = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.norm(self.point(self.depth(planes))))


class Locator(nn.Module):
    """The network of `capture_app.locator`, as it is trained."""

    def __init__(self, channels: Sequence[int] = CHANNELS) -> None:
        super().__init__()
        stem, one, two, three, four = channels
        self.stem = nn.Conv2d(3, stem, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.e1a, self.e1b = Block(stem, one, 2), Block(one, one)
        self.e2a, self.e2b = Block(one, two, 2), Block(two, two)
        self.e3a, self.e3b = Block(two, three, 2), Block(three, three)
        self.e4a, self.e4b = Block(three, four, 2), Block(four, four)
        self.gate = nn.Linear(four, four)
        self.u3, self.f3 = nn.Conv2d(four, three, 1), Block(three, three)
        self.u2, self.f2 = nn.Conv2d(three, two, 1), Block(two, two)
        self.u1, self.f1 = nn.Conv2d(two, one, 1), Block(one, one)
        self.u0, self.f0 = nn.Conv2d(one, stem, 1), Block(stem, stem)
        self.out = nn.Conv2d(stem, 1, 1)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """(N, 3, rows, columns) opponent planes to (N, rows / 2, columns / 2) logits, rounded up."""
        zeroth = functional.relu(self.stem_norm(self.stem(planes)))
        first = self.e1b(self.e1a(zeroth))
        second = self.e2b(self.e2a(first))
        third = self.e3b(self.e3a(second))
        fourth = self.e4b(self.e4a(third))
        up = fourth * torch.sigmoid(self.gate(fourth.mean((2, 3))))[:, :, None, None]
        up = self.f3(third + functional.interpolate(self.u3(up), size=third.shape[2:]))
        up = self.f2(second + functional.interpolate(self.u2(up), size=second.shape[2:]))
        up = self.f1(first + functional.interpolate(self.u1(up), size=first.shape[2:]))
        up = self.f0(zeroth + functional.interpolate(self.u0(up), size=zeroth.shape[2:]))
        logits: torch.Tensor = self.out(up)[:, 0]
        return logits

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights by the names of `capture_app.locator`, batch norms folded into what stands before them."""
        scale, shift = _fold(self.stem_norm)
        found = {"stem": self.stem.weight * scale[:, None, None, None], "stem_bias": shift}
        for name, block in self.named_children():
            if isinstance(block, Block):
                scale, shift = _fold(block.norm)
                found[f"{name}_depth"] = block.depth.weight[:, 0]
                found[name] = block.point.weight[..., 0, 0] * scale[:, None]
                found[f"{name}_bias"] = shift
            elif isinstance(block, nn.Conv2d) and block.bias is not None:
                found[name], found[f"{name}_bias"] = block.weight[..., 0, 0], block.bias
        found["gate"], found["gate_bias"] = self.gate.weight, self.gate.bias
        return {name: array.detach().numpy() for name, array in found.items()}


def _fold(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale, norm.bias - mean * scale


def train_locator(
    photos: Sequence[MaskedPhoto],
    *,
    steps: int,
    seed: int,
    truths: Sequence[np.ndarray] | None = None,
    phantoms: int = PHANTOMS,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Locator:
    """Train on photos with masks, and on phantoms; the same photos, steps and seed give the same network.

    Args:
        truths: a photo, (side, side) in [0, 1]: what is learned from it instead of its mask.
        checkpoint: written every `SAVE_STEPS`, and gone on from where it is there.

    Raises:
        DataError: there is no photo, or the checkpoint is another training's.
    """
    if not photos:
        raise DataError("no photo with a lesion mask is on the training side; give a larger data set.")
    quiet: dict[str, Any] = {"disable": not progress, "mininterval": TELL_S}
    own = truths if truths is not None else [photo.mask for photo in photos]
    pairs = list(zip(photos, own, strict=True))
    seen = [Sheet.of(photo, truth) for photo, truth in tqdm(pairs, unit="photo", **quiet)]
    drawn = [Sheet.of(training_phantom(index)) for index in tqdm(range(phantoms), unit="phantom", **quiet)]
    torch.manual_seed(seed)
    network = Locator().train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), MAX_LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LR, steps)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    asked = {
        "photos": fingerprint(photos),
        "taught": truths is not None,
        "phantoms": phantoms,
        "steps": steps,
        "seed": seed,
    }
    kept = Checkpoint(checkpoint, asked)
    begin = kept.resume(parts)
    batches = iter(DataLoader(_Batches(seen, drawn, seed, begin), batch_size=None, num_workers=1))
    bar = tqdm(range(begin, steps), unit="step", initial=begin, total=steps, **quiet)
    for step in bar:
        if step > begin and step % SAVE_STEPS == 0:
            kept.keep(parts, step)
        planes, mask = next(batches)
        loss = loss_of(network(planes.to(memory_format=torch.channels_last)), mask)
        learn(loss, optimiser, schedule)
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return network.eval()


def taught_truths(
    photos: Sequence[MaskedPhoto], weights: Path, *, steps: int, seed: int, checkpoint: Path
) -> list[np.ndarray]:
    """Each photo's mask, softened by a finder that has learned from all of them (`train_finder`)."""
    finder = train_finder(photos, weights, steps=steps, seed=seed, checkpoint=checkpoint)
    return [softened(finder, photo) for photo in tqdm(photos, unit="photo", mininterval=TELL_S)]


class _Batches(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """(24, 3, 120, 120) planes and (24, 60, 60) masks without end, each step's own for the same seed."""

    def __init__(self, seen: Sequence[Sheet], drawn: Sequence[Sheet], seed: int, begin: int = 0) -> None:
        self.seen, self.drawn, self.seed, self.begin = seen, drawn, seed, begin

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        others = (*self.seen, *self.drawn)
        share = PHANTOM_SHARE if self.drawn else 0
        for step in itertools.count(self.begin):
            rng = np.random.default_rng((self.seed, step))
            sources = [self.drawn if rng.random() < share else self.seen for _ in range(BATCH)]
            pairs = [vary(own[int(rng.integers(0, len(own)))], rng, others) for own in sources]
            planes, masks = zip(*pairs, strict=True)
            yield torch.from_numpy(np.stack(planes)), torch.from_numpy(np.stack(masks))


def training_phantom(index: int) -> MaskedPhoto:
    """Of the training's own seed: as they are, from afar, aside, or in light that is somewhat poor."""
    rng = random.Random(f"locator {index}")
    farthest = 1 / (3 * RANGES["distance"][1])
    afar = Defect("distance", math.exp(rng.uniform(math.log(farthest), math.log(FAR_EXTENT[1]))))
    poor = Defect(
        *rng.choice([("brightness", 0.3), ("shadow", 0.65), ("gradient", 3.0), ("off-centring", 0.25)])
    )
    chosen = rng.choices([None, afar, poor], PHANTOM_KINDS)[0]
    tones = range(TONES - 2, TONES) if rng.random() < DARK_SHARE else range(TONES)
    return draw_phantom(PHANTOM_SEED, TONES * index + rng.choice(tones), chosen)


def write_weights(network: Locator, about: dict[str, Any], path: Path) -> None:
    """Write `capture_app/locator.safetensors`: float16, and where the weights come from as its metadata."""
    arrays = {name: np.ascontiguousarray(array, np.float16) for name, array in network.arrays().items()}
    with whole_file(path) as temporary:
        save_file(arrays, temporary, {"about": json.dumps(about)})


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """How a locator is trained."""

    teacher: Path | None = None
    """ResNet-18's ImageNet weights in torchvision's key names, .safetensors (layer4 is not needed): with them a
    larger network learns first, and softens the masks."""
    teacher_steps: int = FINDER_STEPS
    """Of 8 photos each."""
    steps: int = 18000
    """Of 24 photos each."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "teacher_steps"):
            if (asked := getattr(self, name)) < 1:
                raise DataError(f"--{name.replace('_', '-')} is {asked}; at least 1 is needed.")

    def about(self, manifest: Manifest, photos: Sequence[MaskedPhoto]) -> dict[str, Any]:
        """What the weights are told apart by."""
        own = {"name": manifest.name, "fingerprint": manifest.fingerprint()}
        return {
            "data": {**own, "photos": len(photos), "phantoms": PHANTOMS},
            "teacher": self.teacher and {"weights": self.teacher.name, "steps": self.teacher_steps},
            "steps": self.steps,
            "seed": self.seed,
        }


def teach(manifest: Manifest, photos: Sequence[MaskedPhoto], how: Teaching, out: Path) -> Locator:
    """Train on these photos of the data set and write the weights; beside them, until they are written, lie the
    checkpoints that an interrupted training goes on from.

    Raises:
        DataError: there is no photo, or a checkpoint is another training's.
        RecipeError: the teacher's weights cannot be read.
    """
    checkpoint, kept = (out.with_suffix(f".{what}checkpoint.pt") for what in ("", "teacher."))
    truths = None
    if how.teacher:
        truths = taught_truths(photos, how.teacher, steps=how.teacher_steps, seed=how.seed, checkpoint=kept)
    network = train_locator(photos, truths=truths, steps=how.steps, seed=how.seed, checkpoint=checkpoint)
    what = "Weights of capture_app.locator, trained by benchmarks.guidance_locator"
    write_weights(network, {"what": what, **how.about(manifest, photos), "machine": machine("torch")}, out)
    for path in (checkpoint, kept):
        path.unlink(missing_ok=True)
    return network


@dataclass(frozen=True, kw_only=True)
class Arguments(Teaching):
    """Train the network that finds the lesion in a frame, on photos with lesion masks."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    out: Path = Path("capture_app/locator.safetensors")
    """Where the weights are written; beside it, until they are, checkpoints that an interrupted training goes on
    from."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance_locator", args=argv)
    manifest = load_manifest(arguments.data)
    photos = [photo for photo in masked_photos(manifest) if on_training_side(photo.group)]
    network = teach(manifest, photos, arguments, arguments.out)
    print(f"written to {arguments.out}: {sum(p.numel() for p in network.parameters())} parameters")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
