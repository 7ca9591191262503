"""What Mishra et al. 2019 printed, as data: the figures that ours stand beside.

The text names a label Pustule where every table has Tumor; the tables are followed.
"""

TABLE_2 = {"resnet34": 0.889, "resnet50": 0.897, "resnet101": 0.882, "resnet152": 0.898}
"""Peak top-1 accuracy on the validation part, a sixth of 7,264 photos split at random."""

TABLE_3 = (
    ("ulcer", "tumour", 29),
    ("p_macula", "erythema", 25),
    ("blister", "erythema", 17),
    ("erythema", "wheal", 15),
    ("crust", "ulcer", 14),
    ("blister", "crust", 14),
    ("p_macula", "tumour", 13),
    ("p_macula", "leukoderma", 10),
    ("blister", "ulcer", 7),
    ("tumour", "erythema", 7),
    ("crust", "tumour", 5),
)
"""Label pairs and their errors, both ways added, of ResNet-152."""

TABLE_4 = {"resnet34": 0.8340, "resnet50": 0.8326, "resnet101": 0.8319, "resnet152": 0.8490}
"""Peak top-1 accuracy on user-submitted photos in the distribution of outpatients."""

FIGURE_13_LABELS = (
    "acne",
    "alopecia",
    "blister",
    "crust",
    "erythema",
    "leukoderma",
    "p_macula",
    "tumour",
    "ulcer",
    "wheal",
)
FIGURE_13 = (
    (30, 0, 0, 0, 7, 0, 3, 0, 0, 0),
    (0, 20, 0, 0, 0, 1, 0, 0, 0, 0),
    (0, 0, 25, 1, 18, 0, 1, 0, 0, 0),
    (0, 1, 1, 11, 9, 0, 2, 3, 5, 0),
    (8, 0, 8, 2, 653, 2, 13, 6, 3, 5),
    (0, 1, 0, 0, 9, 43, 7, 0, 0, 0),
    (0, 0, 0, 0, 39, 4, 201, 3, 3, 0),
    (0, 0, 0, 1, 10, 1, 6, 48, 14, 0),
    (0, 0, 0, 3, 7, 0, 0, 7, 139, 0),
    (0, 0, 0, 0, 23, 0, 1, 0, 0, 2),
)
"""Confusion matrix of ResNet-152 on that set: rows actual, columns predicted."""
OUTPATIENT_COUNTS = {label: sum(row) for label, row in zip(FIGURE_13_LABELS, FIGURE_13, strict=True)}
"""Photos a label of that set: the row sums of Fig. 13."""
GAMMA_RANGE = (1.2, 1.5)
"""Sec. 5.3: the gamma said to give better predictions."""
