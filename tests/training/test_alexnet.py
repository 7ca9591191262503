"""AlexNet beside the ResNets: heads, features, weights, layer groups; a run of it, and who refuses that."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from tests.grad_cam_package import package_maps
from tests.training.tiny_fit import CPU, TINY, fit
from training.describe import describe
from training.errors import CheckpointError, RecipeError
from training.evaluate import evaluate_model
from training.experiment import prepare
from training.explain import ExplainCommand, explain_run
from training.explanations.gradients import grad_cam
from training.models.checkpoint import load_checkpoint
from training.models.features import open_trunk
from training.models.networks import LesionNetwork, build_network
from training.models.param_groups import layer_groups
from training.models.weights import load_weights
from training.recipe import Phase

ALEXNET = dataclasses.replace(
    TINY,
    architecture="alexnet",
    input_size=64,
    learning_rate=0.001,
    phases=(Phase("heads", (0.0, 0.0, 0.0), cycles=1),),
)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Torchvision's AlexNet of three labels, drawn at random."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("alexnet_weights")
    save_file(torchvision.models.alexnet(num_classes=3).state_dict(), folder / "alexnet.safetensors")
    yield folder / "alexnet.safetensors"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def network(weights_file: Path) -> LesionNetwork:
    """Two heads on the file's trunk, in evaluation mode."""
    made = build_network("alexnet", 3, 5)
    note = load_weights(made, "alexnet", str(weights_file))
    assert note == "The trunk starts from alexnet.safetensors."
    return made.eval()


@pytest.fixture(scope="module")
def alexnet_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One epoch of the heads on the features of a random trunk."""
    folder = tmp_path_factory.mktemp("alexnet_run")
    yield fit(photos, folder / "run", ALEXNET)
    shutil.rmtree(folder)


def on_meta(n_locations: int = 0) -> LesionNetwork:
    with torch.device("meta"):
        return build_network("alexnet", 3, n_locations)


def test_with_torchvisions_weights_it_is_torchvisions_network(network, weights_file):
    from safetensors.torch import load_file

    with torch.device("meta"):
        oracle = torchvision.models.alexnet(num_classes=3).eval()
    oracle.load_state_dict(load_file(weights_file), assign=True)
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        oracle.classifier[6].weight.copy_(network.lesion_head.weight)
        oracle.classifier[6].bias.copy_(network.lesion_head.bias)
        torch.testing.assert_close(network(image).lesion, oracle(image))


def test_two_heads_read_the_activations_of_fc7(network):
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        features = network.embed(image)
        logits = network(image)
        torch.testing.assert_close(logits, network.heads(features))
    assert (features.shape, logits.lesion.shape, logits.location.shape) == ((2, 4096), (2, 3), (2, 5))
    assert features.min() == 0 < features.max()


def test_dropout_is_active_in_training_alone(network):
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network.embed(image), network.embed(image))
        network.train()
        try:
            assert not torch.equal(network.embed(image), network.embed(image))
        finally:
            network.eval()


def test_one_head_has_no_body_sites():
    network = on_meta()
    assert network(torch.empty(2, 3, 63, 63, device="meta")).location is None
    assert {key.split(".")[0] for key in network.state_dict()} == {"features", "classifier", "lesion_head"}


def test_every_parameter_stands_in_just_one_third():
    network = on_meta(n_locations=4)
    groups = layer_groups(network, "thirds")
    grouped = [id(value) for group in groups for value in group.parameters(network)]
    assert sorted(grouped) == sorted(id(value) for value in network.parameters())
    assert [group.modules for group in groups] == [
        ("features.0", "features.3"),
        ("features.6", "features.8", "features.10"),
        ("classifier.1", "classifier.4"),
        ("lesion_head", "location_head"),
    ]
    assert "early   features.0 features.3" in describe(ALEXNET)


def test_it_has_no_stages_to_cut_between():
    with pytest.raises(RecipeError, match=r"layer_groups is 'fastai'.*has none; take 'thirds'"):
        layer_groups(on_meta(), "fastai")


def test_heads_of_imagenet_are_passed_over_only_where_the_architecture_has_them(tmp_path):
    file = tmp_path / "foreign.safetensors"
    network = build_network("resnet18", 3)
    own = {key: value for key, value in network.state_dict().items() if "head" not in key}
    save_file(own | {"fc.weight": torch.zeros(2)}, file)
    load_weights(network, "resnet18", str(file))
    save_file(own | {"classifier.6.weight": torch.zeros(2)}, file)
    with pytest.raises(RecipeError, match=r"they have beyond it classifier\.6\.weight"):
        load_weights(network, "resnet18", str(file))


def test_torchvision_has_one_set_of_weights():
    with pytest.raises(RecipeError, match="'IMAGENET1K_V2': torchvision has none for alexnet"):
        load_weights(on_meta(), "alexnet", "IMAGENET1K_V2")


@pytest.mark.parametrize("sizes", [{"input_size": 62}, {"train_size": 62}])
def test_what_the_pooling_would_leave_nothing_of_is_refused(photos, tmp_path, sizes):
    recipe = dataclasses.replace(ALEXNET, **sizes)
    with pytest.raises(RecipeError, match=r"(input|train)_size is 62; at least 63 is valid for alexnet"):
        prepare(recipe, str(photos), CPU, cache=tmp_path, progress=False)
    with pytest.raises(RuntimeError, match="too small"):
        on_meta()(torch.empty(1, 3, 62, 62, device="meta"))


def test_a_run_is_loaded_and_scored(alexnet_run, photos, tmp_path):
    checkpoint = load_checkpoint(alexnet_run)
    assert checkpoint.card.architecture == "alexnet"
    result = evaluate_model(alexnet_run, str(photos), cache=tmp_path, progress=False)
    assert result["photos"] == 12
    with torch.inference_mode():
        images = torch.zeros(1, 64, 64, 3, dtype=torch.uint8).numpy()
        assert open_trunk(alexnet_run).features(images).shape == (1, 4096)


@pytest.mark.parametrize("side", [64, 127, 224])  # Feature maps of 1, 3 and 6 places a side.
def test_its_maps_are_those_of_the_grad_cam_package(network, side):
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    with torch.no_grad():
        feature_map = network.feature_map(images)
        maps = network.class_activation_maps(feature_map, network.features_of(feature_map))
    assert maps.shape == (2, 3, *feature_map.shape[2:])
    for label in range(3):
        ours, places = maps[:, label].numpy(), maps[0, 0].numel()
        theirs = package_maps(network, images, [label] * 2) * places
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(ours).max())
        positive = grad_cam(network, images, [label] * 2).numpy() * places
        np.testing.assert_allclose(positive, np.maximum(ours, 0), atol=1e-4 * np.abs(ours).max())


def test_its_errors_are_explained(alexnet_run, photos, tmp_path):
    explain_run(ExplainCommand(alexnet_run, str(photos), tmp_path / "out", device="cpu"), progress=False)
    assert "<img" in (tmp_path / "out" / "explain.html").read_text()


def test_a_bare_weights_file_of_features_is_a_resnets(weights_file, tmp_path):
    with pytest.raises(CheckpointError, match="a ResNet in torchvision's key names is needed"):
        open_trunk(weights_file)
    file = tmp_path / "resnet.safetensors"
    save_file({f"layer1.{name}": torch.zeros(1) for name in "ab"}, file)
    with pytest.raises(RecipeError, match=r"architecture is 'alexnet', and .* name that ResNet"):
        open_trunk(file, "alexnet")
