"""Where the lesion lies in a photo, and squares about it.

    fractions, (height, width) = lesion_box("photos/1.jpg", box="", mask="masks/1.png")

A manifest's box and mask are laid on the photo as stored; what comes out is laid on the photo as it is seen,
upright by its EXIF orientation, as `training.data.photo` decodes it. Torch-free.
"""

import warnings

import numpy as np
from PIL import Image, ImageDraw

from training.data.photo import FORMATS, ORIENTATION_TAG, UPRIGHT, read_photo
from training.errors import PhotoError

SAME_SHAPE = 0.02
"""A mask may be smaller than its photo; their ratios of width to height agree to this, relatively."""
WHITE_FROM = 128
"""A mask's values from here up are lesion."""
SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
)

Square = tuple[int, int, int]
"""x0, y0 and side in pixels."""


def square_about(x: float, y: float, side: int, height: int, width: int) -> Square:
    """The square of that side about a point, moved inwards where it would leave the photo."""
    side = max(1, min(side, height, width))
    x0, y0 = round(x - side / 2), round(y - side / 2)
    return min(max(x0, 0), width - side), min(max(y0, 0), height - side), side


def lesion_box(path: str, box: str, mask: str) -> tuple[np.ndarray, tuple[int, int]]:
    """Where the lesion is: by its mask if there is one, else by its box.

    Args:
        path: the photo; only its header is read.
        box: "x0 y0 x1 y1" in pixels of the stored photo, or "".
        mask: a file, white where the lesion is, or "".

    Returns:
        (4,) float64 x0, y0, x1, y1 as fractions of the upright photo's width and height; that height and width,
        in pixels as stored.

    Raises:
        PhotoError: the photo or the mask cannot be read, they do not fit, or no lesion is marked.
    """
    width, height, turn = _header(path)
    marked = _read_mask(mask, path, width, height) if mask else _draw_box(box, path, width, height)
    if turn is not None:
        marked = marked.transpose(turn)
        if turn in SIDEWAYS:
            width, height = height, width
    ends = marked.getbbox()
    if ends is None:
        raise PhotoError(f"{mask or path}: no lesion is marked; mark it in white, or leave the cell empty.")
    return np.array(ends) / (marked.size * 2), (height, width)


def _header(path: str) -> tuple[int, int, Image.Transpose | None]:
    """Width and height as stored, and the turn that sets the photo upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=FORMATS) as image:
                return *image.size, UPRIGHT.get(image.getexif().get(ORIENTATION_TAG, 1))
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoError(f"{path} cannot be read as a photo ({error}); check the path.") from error


def _read_mask(mask: str, path: str, width: int, height: int) -> Image.Image:
    marked = Image.fromarray(read_photo(mask).image_rgb[..., 0] >= WHITE_FROM)
    if abs(marked.width * height / (marked.height * width) - 1) > SAME_SHAPE:
        raise PhotoError(
            f"{mask} is {marked.width}x{marked.height} pixels and {path} is stored as {width}x{height}: a mask "
            "has the shape of its photo as stored."
        )
    return marked


def _draw_box(box: str, path: str, width: int, height: int) -> Image.Image:
    try:
        x0, y0, x1, y1 = (float(part) for part in box.replace(",", " ").split())
    except ValueError:
        raise PhotoError(
            f"{path}: the box is '{box}'; it takes four numbers, x0 y0 x1 y1, in pixels."
        ) from None
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise PhotoError(
            f"{path}: the box {box} does not lie in the photo, stored as {width}x{height} pixels."
        )
    marked = Image.new("1", (width, height))
    ImageDraw.Draw(marked).rectangle((x0, y0, x1 - 1, y1 - 1), fill=1)
    return marked
