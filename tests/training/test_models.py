"""Networks, layer groups, losses and starting weights."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch.nn import functional as F

from training.errors import RecipeError
from training.models.losses import Criterion, balanced_label_weights, prior_logits
from training.models.networks import RESNETS, Logits, build_network, pool
from training.models.param_groups import freeze, layer_groups
from training.models.weights import load_weights


def test_network_with_torchvisions_weights_is_torchvisions_network():
    torch.manual_seed(0)
    oracle = torchvision.models.resnet18(num_classes=3).eval()
    network = build_network("resnet18", 3).eval()
    state = oracle.state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("fc.")} | {
        "lesion_head.weight": state["fc.weight"],
        "lesion_head.bias": state["fc.bias"],
    }
    network.load_state_dict(state)
    image = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        logits = network(image)
        torch.testing.assert_close(logits.lesion, oracle(image))
        assert logits.location is None
        assert network.feature_map(image).shape == (2, 512, 2, 3)


def test_two_heads_read_the_same_features():
    network = build_network("resnet18", 3, 5).eval()
    image = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, again = network(image), network.heads(pool(network.feature_map(image)))
    assert (logits.lesion.shape, logits.location.shape) == ((2, 3), (2, 5))
    torch.testing.assert_close(logits, again)


def test_an_unknown_architecture_names_the_valid_ones():
    with pytest.raises(RecipeError, match="architecture is 'vgg'; valid are resnet18"):
        build_network("vgg", 3)


@pytest.mark.parametrize("architecture", RESNETS)
@pytest.mark.parametrize("cut", ["thirds", "fastai"])
def test_every_parameter_stands_in_just_one_group(architecture, cut):
    with torch.device("meta"):
        network = build_network(architecture, 3, 4)
    groups = layer_groups(network, cut)
    grouped = [id(value) for group in groups for value in group.parameters(network)]
    assert sorted(grouped) == sorted(id(value) for value in network.parameters())
    assert [group.name for group in groups] == ["early", "middle", "late", "heads"]


def test_thirds_are_cut_by_residual_blocks():
    with torch.device("meta"):
        early, middle, late, _ = layer_groups(build_network("resnet34", 3), "thirds")
    assert (len(early.modules) - 2, len(middle.modules), len(late.modules)) == (5, 6, 5)
    assert early.modules[:2] == ("conv1", "bn1")
    assert late.modules[-1] == "layer4.2"


def test_frozen_groups_keep_their_weights_and_their_statistics():
    network = build_network("resnet18", 3)
    groups = layer_groups(network, "thirds")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    freeze(network, groups, (0.0, 0.0, 1.0, 1.0))
    trainable = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.1)
    network(torch.randn(4, 3, 64, 64)).lesion.square().sum().backward()
    optimizer.step()
    late = tuple(f"{name}." for name in (*groups[2].modules, *groups[3].modules))
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert all(key.startswith(late) for key in changed)
    assert any("running_mean" in key for key in changed)


def test_losses_are_liao_and_luo_eq_5_and_eq_7_written_out():
    torch.manual_seed(1)
    s, t = torch.randn(4, 3), torch.randn(4, 5)
    u = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]]).float()
    v = torch.tensor([0, 4, -1, 2])
    a = 1 / (1 + torch.exp(-s))
    eq_5 = -(u * torch.log(a) + (1 - u) * torch.log(1 - a)).sum(1)
    b = torch.exp(t) / torch.exp(t).sum(1, keepdim=True)
    eq_7 = torch.stack([-torch.log(b[i, v[i]]) for i in (0, 1, 3)])
    criterion = Criterion("binary-cross-entropy")
    torch.testing.assert_close(criterion(Logits(s, t), u, v), eq_5.mean() + eq_7.mean())
    torch.testing.assert_close(criterion(Logits(s, None), u, v), eq_5.mean())
    no_site = torch.full((4,), -1)
    torch.testing.assert_close(criterion(Logits(s, t), u, no_site), eq_5.mean())


def test_softmax_loss_agrees_with_torch_with_class_weights():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 1, 1, 2])
    one_hot = F.one_hot(labels, 3).float()
    weights = balanced_label_weights(one_hot, 1.0)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 1.0, 2.0]))
    ours = Criterion("cross-entropy", weights)(Logits(logits, None), one_hot, labels)
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, weight=weights), rtol=1e-5, atol=1e-6)


def test_balanced_weights_are_one_on_average_over_photos():
    targets = F.one_hot(torch.tensor([0] * 50 + [1] * 9 + [2]), 3).float()
    for power in (0.5, 1.0):
        weights = balanced_label_weights(targets, power)
        assert (targets @ weights).mean() == pytest.approx(1)
    assert balanced_label_weights(targets, 0.0) is None


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "cross-entropy"])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_prior_logits_are_the_best_constant_answer(loss, power):
    targets = F.one_hot(torch.tensor([0] * 12 + [1] * 6 + [2] * 2), 3).float()
    weights = balanced_label_weights(targets, power)
    prior = prior_logits(targets, loss, weights).requires_grad_()
    criterion = Criterion(loss, weights)
    criterion(Logits(prior.expand(20, 3), None), targets, torch.full((20,), -1)).backward()
    torch.testing.assert_close(prior.grad, torch.zeros(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "cross-entropy"])
def test_prior_logits_of_resampled_photos_are_those_of_the_photos_drawn(loss):
    """Else the range test sees a bias being learned, and chooses the rate for that."""
    targets = F.one_hot(torch.tensor([0] * 12 + [1] * 6 + [2] * 2), 3).float()
    times = torch.tensor([1.0] * 12 + [2.0] * 6 + [6.0] * 2)
    drawn = targets.repeat_interleave(times.long(), 0)
    torch.testing.assert_close(prior_logits(targets, loss, None, times), prior_logits(drawn, loss))


@pytest.fixture
def weights_file(tmp_path):
    oracle = torchvision.models.resnet18()
    state = {key: value for key, value in oracle.state_dict().items() if not key.startswith("layer4.")}
    file = tmp_path / "partial.safetensors"
    save_file(state, file)
    return file, state


def test_partial_weights_load_only_when_the_random_stage_is_named(weights_file):
    file, state = weights_file
    network = build_network("resnet18", 3)
    with pytest.raises(RecipeError, match=r"they lack layer4\.0\.conv1\.weight, .* and \d+ more keys"):
        load_weights(network, "resnet18", str(file))
    note = load_weights(network, "resnet18", str(file), ("layer4",))
    assert "layer4 and the heads start at random" in note
    torch.testing.assert_close(network.layer1[0].conv1.weight, state["layer1.0.conv1.weight"])


def test_weights_that_do_not_fit_name_the_keys(weights_file, tmp_path):
    file, _ = weights_file
    with pytest.raises(RecipeError, match=r"they lack layer1\.2\.conv1\.weight"):
        load_weights(build_network("resnet34", 3), "resnet34", str(file), ("layer4",))
    with pytest.raises(RecipeError, match="there is no such file"):
        load_weights(build_network("resnet18", 3), "resnet18", str(tmp_path / "no.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(RecipeError, match=r"is not a whole \.safetensors file"):
        load_weights(build_network("resnet18", 3), "resnet18", str(file))


def test_torchvisions_weights_that_cannot_be_had_name_the_way_out(monkeypatch, tmp_path):
    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models.ResNet18_Weights.IMAGENET1K_V1.__class__, "get_state_dict", refuse)
    with pytest.raises(RecipeError, match=r"not in torchvision's cache .* or take 'random'"):
        load_weights(build_network("resnet18", 3), "resnet18", "IMAGENET1K_V1")
