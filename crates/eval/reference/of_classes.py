"""What scikit-learn says about random predictions: few classes and many, classes that never come up, ties everywhere."""

import warnings

from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

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
        try:
            matrix = confusion_matrix(expected, predicted, labels=labels).tolist()
        except ValueError:  # None of the labels came up: scikit-learn makes no matrix then.
            matrix = None
        yield {
            "pairs": [list(pair) for pair in zip(expected, predicted)],
            "labels": labels,
            "expected": found,
            "each": [[float(value) for value in row] for row in zip(*each)],
            "matrix": matrix,
        }


FAMILIES = {"classes": classes}
