"""What scikit-learn says about random predictions: few classes and many, classes that never come up, ties everywhere."""

import math
import warnings

from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

CLASSES = ["yes", "no", "maybe", "Yes", "ja", "日本", "é", "e\u0301", "z", "0", "10", "9", "(unparseable)", "ß", "billing", "refund request"]


def classes(rng, n):
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    warnings.simplefilter("ignore", UserWarning)
    for _ in range(n):
        known = rng.sample(CLASSES, rng.randint(1, len(CLASSES) if rng.random() < 0.2 else 4))
        n_cases = rng.choice([1, 2, 3, rng.randint(1, 40), rng.randint(1, 400)])
        expected = [rng.choice(known) for _ in range(n_cases)]
        right = rng.random()
        predicted = [one if rng.random() < right else rng.choice(known) for one in expected]
        labels = rng.sample(CLASSES, rng.randint(1, 4)) if rng.random() < 0.3 else None
        found = {"accuracy": accuracy_score(expected, predicted)}
        for average in ("micro", "macro", "weighted"):
            figures = precision_recall_fscore_support(expected, predicted, labels=labels, average=average, zero_division=0)
            found |= {f"{figure}_{average}": float(value) for figure, value in zip(("precision", "recall", "f1"), figures)}
        each = precision_recall_fscore_support(expected, predicted, labels=labels, average=None, zero_division=0)
        # Of labels of which none came up scikit-learn makes no matrix: then it is the one of all classes.
        of_matrix = labels if labels and set(labels) & set(expected) else None
        matrix = confusion_matrix(expected, predicted, labels=of_matrix).tolist()
        yield {
            "pairs": [list(pair) for pair in zip(expected, predicted)],
            "labels": labels,
            "expected": found,
            "each": [[float(value) for value in row] for row in zip(*each)],
            "matrix": matrix,
            "matrix_labels": of_matrix,
        }


def kappas(rng, n):
    """Two who put the same items into three categories: few items and many, one-sided, and at times one category alone."""
    warnings.simplefilter("ignore")
    for _ in range(n):
        weights = [rng.choice([0, 1, 1, 5]) for _ in range(3)]
        weights = weights if any(weights) else [1, 0, 0]
        n_items, agree = rng.choice([1, 2, 3, rng.randint(1, 30), rng.randint(1, 300)]), rng.random()
        one = rng.choices(range(3), weights, k=n_items)
        other = [category if rng.random() < agree else rng.randrange(3) for category in one]
        found = float(cohen_kappa_score(one, other, labels=[0, 1, 2]))
        yield {"one": one, "other": other, "expected": None if math.isnan(found) else found}


FAMILIES = {"classes": classes, "kappas": kappas}
