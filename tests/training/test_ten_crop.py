"""Ten-crop testing against torchvision's own, and the doors through which it is reached."""

import dataclasses

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from training.engine import Arithmetic
from training.errors import ModelFileError
from training.evaluate import evaluate_model
from training.evaluation.scoring import open_model
from training.evaluation.ten_crop import score_ten_crops, ten_crops
from training.models.card import Preprocessing
from training.models.checkpoint import load_checkpoint

VIEW = Preprocessing(input_size=28, decode_min_side=32, crop_fraction=0.875)
CPU = Arithmetic(torch.device("cpu"), "fp32")


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 41), (50, 32)])
def test_crops_are_torchvisions_of_the_central_square(height, width):
    """At a shorter side of 32 pixels a crop has 28 already, and nothing is resized."""
    photo = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    square = F.center_crop(photo.permute(2, 0, 1), [32, 32])
    crops = torch.stack(F.ten_crop(square, [28, 28])).float()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (VIEW.mean, VIEW.std))
    expected = (crops / 255 - mean) / std
    mirrored = expected[[6, 5, 8, 7, 9]]  # torchvision crops the mirror image: its top left is our top right.
    torch.testing.assert_close(ten_crops(photo, VIEW), torch.cat([expected[:5], mirrored]))


def test_scores_are_the_mean_probabilities_and_do_not_know_left_from_right(tiny_run_two_heads):
    """0.8 of 70 pixels leave an even margin, so that the central crop of a mirror image is its mirror image."""
    checkpoint = load_checkpoint(tiny_run_two_heads)
    view = dataclasses.replace(checkpoint.card.preprocessing, crop_fraction=0.8, decode_min_side=90)
    card = dataclasses.replace(checkpoint.card, preprocessing=view)
    photo = np.random.default_rng(1).integers(0, 256, (90, 70, 3), np.uint8)
    own, mirrored = (
        score_ten_crops(checkpoint.network, card, [image], CPU, progress=False)
        for image in (photo, photo[:, ::-1])
    )
    with torch.inference_mode():
        logits = checkpoint.network(ten_crops(torch.from_numpy(photo), view))
    np.testing.assert_allclose(own[0][0], logits.lesion.softmax(1).mean(0), atol=1e-6)
    np.testing.assert_allclose(own[1][0], logits.location.softmax(1).mean(0), atol=1e-6)
    for first, second in zip(own, mirrored, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_evaluate_takes_ten_crops_of_a_run_and_not_of_an_exported_model(
    tiny_run, tiny_model, photos, tmp_path
):
    card, predict = open_model(tiny_run, crops=10)
    lesion, location = predict(np.zeros((1, 80, 80, 3), np.uint8))
    assert lesion.shape == (1, len(card.lesion_labels))
    assert location is None
    with pytest.raises(ModelFileError, match="ten-crop testing needs the run's folder"):
        evaluate_model(tiny_model, str(photos), crops=10, cache=tmp_path / "cache")
