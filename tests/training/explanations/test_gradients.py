"""Grad-CAM and guided backpropagation against pytorch-grad-cam, and that they leave the network alone."""

import copy

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GuidedBackpropReLUModel

from benchmarks.latency_grad_cam import LesionLogits
from tests.grad_cam_package import package_maps
from training.explanations.gradients import grad_cam, guided_backpropagation
from training.models.networks import LesionNetwork, build_network

N_LABELS = 4
LABELS = [2, 0, 1]


@pytest.fixture(params=["resnet18", "resnet50"], ids=["BasicBlock", "Bottleneck"])
def network(request: pytest.FixtureRequest) -> LesionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(request.param, N_LABELS, n_locations=2)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # Of an untrained network they are all 0 and 1.
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.8, 1.2)
                module.weight.data.uniform_(0.4, 1.2)
                module.bias.data.normal_(std=0.1)
        network.eval()
        with torch.no_grad():
            centre = network.feature_map(patchy_images()).mean(dim=(0, 2, 3))
            head = network.lesion_head.weight.normal_(std=0.2)  # Evidence for and against in every map.
            head -= (head @ centre)[:, None] * centre / centre.square().sum()
    return network


def patchy_images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(3, 3, 3, 2, generator=generator).repeat_interleave(32, 2).repeat_interleave(32, 3)
    return patches + torch.randn(3, 3, 96, 64, generator=generator)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return patchy_images()


def unit(values: np.ndarray) -> np.ndarray:
    return values / np.abs(values).max()


def test_grad_cam_is_the_packages(network: LesionNetwork, images: torch.Tensor) -> None:
    ours = grad_cam(network, images, LABELS).numpy()
    assert ours.shape == (3, 3, 2)
    theirs = package_maps(network, images, LABELS)
    theirs = np.maximum(theirs, 0)
    assert 0 < np.mean(ours > 0) < 1
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.max())
    np.testing.assert_allclose(unit(ours), unit(theirs), atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*non-leaf Tensor")
def test_guided_backpropagation_is_the_packages(network: LesionNetwork, images: torch.Tensor) -> None:
    ours = guided_backpropagation(network, images, LABELS).numpy()
    assert ours.shape == images.shape
    for index, label in enumerate(LABELS):
        package = GuidedBackpropReLUModel(LesionLogits(copy.deepcopy(network)), device="cpu")
        theirs = package(images[index : index + 1].clone(), label).transpose(2, 0, 1)
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(unit(ours[index]), unit(theirs), atol=1e-4)
        np.testing.assert_allclose(ours[index], theirs, atol=1e-4 * np.abs(theirs).max())


def test_guiding_is_not_the_plain_gradient(network: LesionNetwork, images: torch.Tensor) -> None:
    leaf = images.clone().requires_grad_()
    network(leaf).lesion[range(3), LABELS].sum().backward()
    assert leaf.grad is not None
    guided = guided_backpropagation(network, images, LABELS)
    assert torch.nn.functional.cosine_similarity(guided.flatten(), leaf.grad.flatten(), dim=0) < 0.9


def test_grad_cam_is_the_positive_class_activation_map_up_to_the_number_of_places(
    network: LesionNetwork, images: torch.Tensor
) -> None:
    with torch.no_grad():
        feature_map = network.feature_map(images)
        maps = network.class_activation_maps(feature_map, network.features_of(feature_map))
    expected = maps[range(3), LABELS].relu()
    torch.testing.assert_close(grad_cam(network, images, LABELS) * 3 * 2, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
def test_one_image_is_explained_as_in_any_batch(explain, network, images) -> None:
    together = explain(network, images, LABELS)
    for index, label in enumerate(LABELS):
        alone = explain(network, images[index : index + 1], torch.tensor([label]))
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
def test_the_network_is_left_as_it_was(explain, network, images) -> None:
    network.train()
    network.layer1.eval()
    frozen = list(network.layer2.parameters())
    for parameter in frozen:
        parameter.requires_grad_(False)
    for parameter in network.layer3.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before = copy.deepcopy(network)
    modules = dict(network.named_modules())
    image_before = images.clone()
    explain(network, images, LABELS)
    assert dict(network.named_modules()) == modules
    for (name, module), then in zip(network.named_modules(), before.modules(), strict=True):
        assert module.training == then.training, name
        assert not module._forward_hooks, name
        assert not module._backward_hooks, name
        assert module.__dict__.keys() == then.__dict__.keys(), name
    for (name, own), (_, then) in zip(network.named_parameters(), before.named_parameters(), strict=True):
        assert own.requires_grad == then.requires_grad, name
        assert own.grad is None or bool((own.grad == 7).all()), name
        assert (own.grad is None) == (not name.startswith("layer3")), name
    for (name, own), then in zip(network.state_dict().items(), before.state_dict().values(), strict=True):
        assert torch.equal(own, then), name
    assert torch.equal(images, image_before)
    assert not images.requires_grad


@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(explain, around, network, images) -> None:
    expected = explain(network, images, LABELS)
    with around():
        assert torch.equal(explain(network, images.clone(), LABELS), expected)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
def test_a_mode_is_put_back_after_a_failure(explain, network) -> None:
    network.train()
    with pytest.raises(RuntimeError):
        explain(network, torch.zeros(1, 5, 64, 64), [0])
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("labels", [[0], [0, 1, N_LABELS], [0, 1, -1]])
@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
def test_a_label_that_is_not_there_is_named(explain, labels, network, images) -> None:
    with pytest.raises(ValueError, match=f"one for each of 3 images, from 0 to {N_LABELS - 1}"):
        explain(network, images, labels)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("explain", [grad_cam, guided_backpropagation])
def test_the_gpu_agrees(explain, network, images, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    expected = explain(network, images, LABELS)
    found = explain(copy.deepcopy(network).cuda(), images.cuda(), LABELS)
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, atol=1e-2 * float(expected.abs().max()), rtol=0)
