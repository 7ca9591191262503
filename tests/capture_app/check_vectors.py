"""Write the test vectors that hold the phone's checks and the server's to each other.

    python -m tests.capture_app.check_vectors    # after limits.json, locator.safetensors or a measure has changed

Drawn frames, clean and with every defect, with what Python finds on them; `test_checks_agree` asks both for the
same. Look at the difference before you commit it: it is what the change does.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.guidance_defects import Defect, defects, draw_phantom
from capture_app.frame import WORKING_SIDE_PX
from capture_app.locate import read_scene
from capture_app.quality import check_scene, measures_of

FILE = Path(__file__).with_suffix(".json")
SEED = 5
N_CLEAN = 4


def draw_frame(index: int, defect: Defect | None) -> np.ndarray:
    """(240, 240, 3) uint8, RGB."""
    drawn = draw_phantom(SEED, index, defect).rgb
    return cv2.resize(drawn, (WORKING_SIDE_PX, WORKING_SIDE_PX), interpolation=cv2.INTER_AREA)


def vector(index: int, defect: Defect | None) -> dict[str, Any]:
    """A frame by its number and defect, and what is found on it."""
    scene = read_scene(draw_frame(index, defect))
    return {
        "defect": [defect.kind, defect.amount] if defect else None,
        "index": index,
        "findings": [[finding.code, finding.severity] for finding in check_scene(scene).findings],
        "measures": {fault: round(value, 5) for fault, value in measures_of(scene).items()},
    }


def main() -> None:
    vectors = [vector(3 * index, None) for index in range(N_CLEAN)]
    vectors += [vector(N_CLEAN + index, defect) for index, defect in enumerate(defects())]
    FILE.write_text("[\n" + ",\n".join(json.dumps(one) for one in vectors) + "\n]\n", encoding="utf-8")
    for one in vectors:
        print(one["defect"] or "clean", *(f"{code}:{severity}" for code, severity in one["findings"]))


if __name__ == "__main__":
    main()
