"""The finder: a network that knows ImageNet, held to the locator's rule on the same photos, and its teacher."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks import guidance_finder, guidance_locator
from benchmarks.guidance_bound import main
from benchmarks.guidance_finder import SIDE_PX, Finder, finds, softened, train_finder
from benchmarks.guidance_parts import MaskedPhoto, masked_photos, on_training_side
from benchmarks.guidance_step import loss_of
from tests.benchmarks.test_guidance import write_photos
from training.data.manifest import read_manifest_csv
from training.errors import DataError, RecipeError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the workplace's file is: all of a ResNet-18 but its last stage."""
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file({name: value for name, value in state.items() if not name.startswith("layer4")}, path)
    return path


class Oracle(Finder):
    """Answers with a disc, wherever it is told to."""

    def __init__(self, centre_xy: tuple[float, float], radius: float) -> None:
        torch.nn.Module.__init__(self)
        self.centre_xy, self.radius = centre_xy, radius

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        ticks = (torch.arange(SIDE_PX // 4) + 0.5) / (SIDE_PX // 4)
        x, y = self.centre_xy
        inside = (ticks[None] - x) ** 2 + (ticks[:, None] - y) ** 2 < self.radius**2
        return torch.where(inside, 5.0, -5.0)[None].expand(len(photos), -1, -1)


@pytest.mark.parametrize(
    ("centre_xy", "radius", "found"),
    [
        ((0.5, 0.5), 0.16, True),
        ((0.5, 0.5), 0.12, True),
        ((0.5, 0.5), 0.1, False),
        ((0.62, 0.5), 0.16, False),
        ((0.5, 0.5), 0.24, False),
    ],
)
def test_a_lesion_is_found_by_its_centre_and_its_box(data: Path, centre_xy, radius: float, found: bool):
    photo: MaskedPhoto = next(masked_photos(read_manifest_csv(data)))
    assert finds(Oracle(centre_xy, radius), photo) == found


def test_the_trunk_is_the_file_s_and_its_first_stages_stay(weights: Path):
    network = Finder(weights).train()
    trunk = torchvision.models.resnet18()
    trunk.load_state_dict(load_file(weights), strict=False)
    trunk.eval()
    photos = torch.randn(2, 3, SIDE_PX, SIDE_PX)
    first = trunk.layer1(trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(photos)))))
    assert torch.allclose(network.still(photos), first, atol=1e-5)
    assert torch.allclose(network.third(network.second(first)), trunk.layer3(trunk.layer2(first)), atol=1e-4)
    logits = network(photos)
    assert logits.shape == (2, SIDE_PX // 4, SIDE_PX // 4)
    logits.sum().backward()
    assert all(parameter.grad is None for parameter in network.still.parameters())
    assert all(parameter.grad is not None for parameter in network.third.parameters())


class Bright(Finder):
    """Takes what is bright for the lesion."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return 8 * torch.nn.functional.avg_pool2d(photos.mean(1), 4)


def test_a_mask_is_softened_by_what_all_looks_say_where_they_say_it(data: Path):
    rgb, mask = np.zeros((384, 384, 3), np.uint8), np.zeros((384, 384), bool)
    rgb[40:120, 200:360] = 255
    mask[80:200, 200:280] = True
    truth = softened(Bright(), MaskedPhoto(rgb, mask, "a patient", ""))
    bright = rgb[..., 0] > 0
    for part, expected in (
        (bright & mask, 1),
        (bright & ~mask, 0.5),
        (~bright & mask, 0.5),
        (~bright & ~mask, 0),
    ):
        at = (
            cv2.erode(part.astype(np.uint8), np.ones((27, 27), np.uint8)) > 0
        )  # The answer's pixels are 6.4 wide.
        assert at.any()
        assert truth[at] == pytest.approx(expected, abs=0.01)


def test_an_interrupted_finder_goes_on_to_the_same_weights(
    data: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    photos, steps = list(masked_photos(read_manifest_csv(data))), 0

    def interrupted(*args: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return loss_of(*args)

    def train(seed: int, checkpoint: Path | None) -> Finder:
        return train_finder(photos[:3], weights, steps=3, seed=seed, checkpoint=checkpoint)

    monkeypatch.setattr(guidance_finder, "SAVE_STEPS", 1)
    monkeypatch.setattr(guidance_finder, "loss_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(5, tmp_path / "checkpoint.pt")
    resumed = train(5, tmp_path / "checkpoint.pt").state_dict()
    assert steps == 3 + 1  # The last step alone, which had failed.
    for name, value in train(5, None).state_dict().items():
        assert torch.equal(resumed[name], value), name
    with pytest.raises(DataError, match=r"another training.*delete it"):
        train(6, tmp_path / "checkpoint.pt")
    photos.reverse()
    with pytest.raises(DataError, match=r"another training.*delete it"):  # As many photos, but others.
        train(5, tmp_path / "checkpoint.pt")


def test_a_finder_teaches_the_locator_once(
    data: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taught, trained = [], guidance_locator.train_locator

    def train_locator(photos, *, truths, **how):
        taught.append(truths)
        if len(taught) == 1:
            raise KeyboardInterrupt
        return trained(photos, truths=truths, phantoms=1, progress=False, **how)

    monkeypatch.setattr(guidance_locator, "train_locator", train_locator)
    how = ["--out", str(tmp_path / "locator.safetensors"), "--teacher", str(weights), "--steps", "1"]
    with pytest.raises(KeyboardInterrupt):
        guidance_locator.main([str(data), *how, "--teacher-steps", "1"])
    with pytest.raises(DataError, match=r"another training.*delete it"):
        guidance_locator.main([str(data), *how, "--teacher-steps", "2"])
    monkeypatch.setattr(guidance_finder, "learn", None)  # It is not taught again.
    assert guidance_locator.main([str(data), *how, "--teacher-steps", "1"]) == 0
    for first, second in zip(*taught, strict=True):
        assert np.array_equal(first, second)
        assert 0 <= first.min() < first.max() <= 1
    with safe_open(tmp_path / "locator.safetensors", "numpy") as stored:
        assert json.loads(stored.metadata()["about"])["teacher"] == {"weights": weights.name, "steps": 1}
    assert not list(tmp_path.glob("*.pt"))


def test_its_figures_are_of_both_parts(
    data: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "bound.json"
    assert main([str(data), "--weights", str(weights), "--steps", "1", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    groups = [photo.group for photo in masked_photos(read_manifest_csv(data))]
    n_training = int(np.sum([on_training_side(group) for group in groups]))
    assert {part: own["photos"] for part, own in record["found"].items()} == {
        "training": n_training,
        "test": len(groups) - n_training,
    }
    assert all(
        0 <= own["interval"][0] <= own["share"] <= own["interval"][1] <= 1 for own in record["found"].values()
    )
    assert str(tmp_path) not in out.read_text()
    assert "test: centre and box found on" in capsys.readouterr().out


def test_bad_input_gets_a_sentence(data: Path, tmp_path: Path):
    with pytest.raises(DataError, match="--steps is 0"):
        main([str(data), "--weights", "none.safetensors", "--steps", "0"])
    with pytest.raises(RecipeError, match="there is no such file"):
        main([str(data), "--weights", str(tmp_path / "none.safetensors"), "--out", str(tmp_path / "b.json")])
