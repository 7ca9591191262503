"""Metrics agree with scikit-learn and with their equations written out."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from training.evaluation import metrics
from training.evaluation.calibration import fit_temperature, log_loss, probabilities
from training.evaluation.summary import summarise

RNG = np.random.default_rng(0)
SCORES = np.round(RNG.normal(size=(80, 5)), 1)  # rounded, so that there are ties
ACTUAL = RNG.integers(5, size=80)
TARGETS = (RNG.random((80, 5)) < 0.3).astype(np.float32)
TARGETS[:, 0] = np.arange(80) % 7 == 0
TARGETS[TARGETS.sum(1) == 0, 1] = 1


def test_accuracies_agree_with_scikit_learn():
    predicted = SCORES.argmax(1)
    assert metrics.accuracy(predicted, ACTUAL) == pytest.approx(oracle.accuracy_score(ACTUAL, predicted))
    ours = metrics.balanced_accuracy(predicted, ACTUAL)
    assert ours == pytest.approx(oracle.balanced_accuracy_score(ACTUAL, predicted))
    np.testing.assert_array_equal(
        metrics.confusion_matrix(predicted, ACTUAL, 5),
        oracle.confusion_matrix(ACTUAL, predicted, labels=range(5)),
    )


def test_top_k_agrees_with_scikit_learn_where_there_are_no_ties():
    scores = RNG.normal(size=(80, 5))
    for k in (1, 2, 3, 5):
        expected = 1.0 if k == 5 else oracle.top_k_accuracy_score(ACTUAL, scores, k=k)
        assert metrics.top_k_accuracy(scores, ACTUAL, k) == pytest.approx(expected)


def test_a_constant_score_is_no_top_1_hit():
    assert metrics.top_k_accuracy(np.zeros((4, 3)), np.arange(4) % 3, 1) == 0


@pytest.mark.parametrize("label", range(5))
def test_average_precision_agrees_with_scikit_learn(label):
    ours = metrics.average_precision(SCORES[:, label], TARGETS[:, label])
    assert abs(ours - oracle.average_precision_score(TARGETS[:, label], SCORES[:, label])) < 1e-9


def test_mean_average_precisions_are_eq_9_and_eq_10():
    by_class = [oracle.average_precision_score(TARGETS[:, i], SCORES[:, i]) for i in range(5)]
    by_image = [oracle.average_precision_score(TARGETS[i], SCORES[i]) for i in range(80)]
    assert abs(metrics.map_class(SCORES, TARGETS) - np.mean(by_class)) < 1e-9
    assert abs(metrics.map_image(SCORES, TARGETS) - np.mean(by_image)) < 1e-9


def test_interval_holds_the_value_and_widens_with_grouping():
    right = RNG.random(300) < 0.7
    actual = np.zeros(300, int)
    predicted = np.where(right, 0, 1)
    single = metrics.interval(metrics.accuracy, predicted, actual, groups=np.arange(300))
    assert single[0] < right.mean() < single[1]
    normal = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 300)
    assert single[1] - single[0] == pytest.approx(2 * normal, rel=0.15)
    tenfold = [np.repeat(array[:30], 10) for array in (predicted, actual)]
    grouped = metrics.interval(metrics.accuracy, *tenfold, groups=np.repeat(np.arange(30), 10))
    assert grouped[1] - grouped[0] > 2 * (single[1] - single[0])


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_temperature_undoes_a_known_overconfidence(activation):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 3)) * 1.5
    true = probabilities(logits, activation)
    if activation == "sigmoid":
        targets = (rng.random(true.shape) < true).astype(float)
    else:
        targets = np.eye(3)[[rng.choice(3, p=row) for row in true]]
    temperature = fit_temperature(logits * 2.5, targets, activation)
    assert temperature == pytest.approx(2.5, rel=0.1)
    fitted = log_loss(logits * 2.5, targets, activation, temperature)
    assert fitted <= min(log_loss(logits * 2.5, targets, activation, temperature * f) for f in (0.99, 1.01))


def test_log_loss_agrees_with_scikit_learn():
    labels = np.eye(5)[ACTUAL]
    ours = log_loss(SCORES, labels, "softmax")
    assert ours == pytest.approx(oracle.log_loss(ACTUAL, probabilities(SCORES, "softmax")))
    np.testing.assert_allclose(probabilities(np.array([[800.0, -800.0]]), "sigmoid"), [[1, 0]])


def test_summary_names_the_majority_baseline_and_labels_without_photos():
    summary = summarise(
        np.eye(3)[[0, 0, 1]], np.eye(3)[[0, 1, 1]], np.array(["a", "a", "b"]), ("x", "y", "z"), majority=1
    )
    assert summary["majority_class"] == {
        "label": "y",
        "accuracy": pytest.approx(2 / 3),
        "balanced_accuracy": 0.5,
    }
    assert summary["recall"] == {"x": 1.0, "y": 0.5, "z": None}
    assert summary["balanced_accuracy"] == 0.75
    assert (summary["photos"], summary["groups"]) == (3, 2)
