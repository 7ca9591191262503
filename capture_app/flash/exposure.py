"""How long and how sensitively a photo was exposed, by its EXIF.

    exposure_of(lit_jpeg) / exposure_of(plain_jpeg)

Only exposure time, aperture and sensitivity are read; nothing else of the metadata is looked at or kept (CIPA
DC-008, tags 33434, 33437, 34855). Torch-free.
"""

import io
import math

from PIL import Image

EXIF_BLOCK, TIME, APERTURE, SENSITIVITY = 0x8769, 0x829A, 0x829D, 0x8827


def exposure_of(data: bytes) -> float | None:
    """Exposure in a unit that two photos of one camera share, or None where the file does not say.

    Args:
        data: a photo's file.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            tags = image.getexif().get_ifd(EXIF_BLOCK)
        time, sensitivity = float(tags[TIME]), tags[SENSITIVITY]
        iso = float(sensitivity[0] if isinstance(sensitivity, tuple) else sensitivity)
        aperture = float(tags.get(APERTURE, 1.0))
        exposure = time * iso / aperture**2
    except (OSError, SyntaxError, KeyError, IndexError, ValueError, TypeError, ZeroDivisionError):
        # No tag, or a damaged one: the photo itself is judged by its decoder.
        return None
    return exposure if math.isfinite(exposure) and exposure > 0 else None
