import itertools

import pytest
import torch
from torchvision.transforms.v2 import functional

from training.models.card import Preprocessing
from training.models.preprocess import crop, preprocess

SIZES_HW = [(64, 64), (97, 131), (131, 97), (300, 301), (33, 47), (512, 200)]


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
def test_it_agrees_with_torchvision(size_hw: tuple[int, int], crop_fraction: float) -> None:
    rule = Preprocessing(input_size=64, decode_min_side=80, crop_fraction=crop_fraction)
    image = torch.randint(0, 256, (2, *size_hw, 3), dtype=torch.uint8)
    x0, y0, x1, y1 = rule.view_box(*size_hw)
    expected = functional.crop(image.permute(0, 3, 1, 2).float() / 255, y0, x0, y1 - y0, x1 - x0)
    expected = functional.resize(expected, [64, 64], antialias=True)
    expected = functional.normalize(expected, list(rule.mean), list(rule.std))
    torch.testing.assert_close(preprocess(image, rule), expected, rtol=0, atol=1e-5)


def test_the_view_box_is_torchvisions_central_square_where_that_lies_on_whole_pixels() -> None:
    rule = Preprocessing(input_size=64, decode_min_side=80, crop_fraction=0.875)
    image = torch.randint(0, 256, (1, 96, 128, 3), dtype=torch.uint8)
    expected = functional.center_crop(image.permute(0, 3, 1, 2), [84, 84])
    assert torch.equal(crop(image, rule).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize("crop_fraction", [1.0, 0.875, 0.9, 0.29, 0.0001])
def test_the_crop_is_the_cards_view_box_at_every_size(crop_fraction: float) -> None:
    rule = Preprocessing(input_size=16, decode_min_side=200_000, crop_fraction=crop_fraction)
    for height, width in itertools.product([1, 2, 33, 99, 100, 101, 1000], repeat=2):
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        x0, y0, x1, y1 = rule.view_box(height, width)
        view = crop(torch.stack([rows, columns, rows], dim=-1)[None], rule)[0]
        assert view.shape == (y1 - y0, x1 - x0, 3)
        assert view[0, 0].tolist() == [y0, x0, y0]
        assert view[-1, -1].tolist() == [y1 - 1, x1 - 1, y1 - 1]


def test_a_flat_photo_stays_flat() -> None:
    rule = Preprocessing(input_size=32, decode_min_side=64)
    out = preprocess(torch.full((1, 50, 70, 3), 128, dtype=torch.uint8), rule)
    expected = (128 / 255 - torch.tensor(rule.mean)) / torch.tensor(rule.std)
    torch.testing.assert_close(out, expected.view(1, 3, 1, 1).expand_as(out), rtol=0, atol=1e-5)
