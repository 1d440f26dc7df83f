"""What scikit-learn and trec_eval say about rankings, numpy about cosines, and bert-score's own function about vectors of tokens."""

import ast
import importlib.util
import math
import pathlib
import types

import numpy
import pytrec_eval
from sklearn.metrics import ndcg_score


def rankings(rng, n):
    """trec_eval: gains are whole numbers, as in its files; the ranking has no ties."""
    for _ in range(n):
        known = [f"d{idx}" for idx in range(rng.randint(1, 30))]
        relevance = {one: rng.choice([0, 0, 0, 1, 1, 2, 3]) for one in rng.sample(known, rng.randint(1, len(known)))}
        relevance[rng.choice(list(relevance))] = rng.choice([1, 2])
        ranking = rng.sample(known, rng.randint(1, len(known)))
        k = rng.choice([5, 10, 15, 20])
        measures = {f"ndcg_cut.{k}", "recip_rank", f"recall.{k}", f"P.{k}", f"map_cut.{k}", "ndcg"}
        run = {one: float(len(ranking) - place) for place, one in enumerate(ranking)}
        found = pytrec_eval.RelevanceEvaluator({"q": relevance}, measures).evaluate({"q": run})["q"]
        names = {"ndcg_at_k": f"ndcg_cut_{k}", "recall_at_k": f"recall_{k}", "precision_at_k": f"P_{k}", "map_at_k": f"map_cut_{k}"}
        yield {
            "relevance": relevance,
            "ranking": ranking,
            "k": k,
            "expected": {ours: found[theirs] for ours, theirs in names.items()},
            "whole": {"mrr": found["recip_rank"], "ndcg_at_k": found["ndcg"]},
        }


def ties(rng, n):
    """scikit-learn: gains of any size, many equal scores."""
    for _ in range(n):
        size = rng.randint(2, 20)
        gains = [rng.choice([0, 0, 1, 2, 3, rng.random() * 5]) for _ in range(size)]
        scores = [rng.choice([0.0, 0.5, 1.0, -1.0, rng.random()]) for _ in range(size)]
        k = rng.choice([None, 1, 2, 5, 10, 30])
        yield {"relevance": gains, "scores": scores, "k": k, "expected": float(ndcg_score([gains], [scores], k=k))}


def vector(rng, length):
    kind = rng.random()
    if kind < 0.1:
        return [float(rng.choice([0, 1, -1])) for _ in range(length)]
    scale = rng.choice([1.0, 1.0, 1e-6, 1e6])
    return [float(numpy.float32(rng.gauss(0, 1) * scale)) for _ in range(length)]


def cosines(rng, n):
    for _ in range(n):
        length = rng.choice([1, 2, 8, 32])
        one, other = vector(rng, length), vector(rng, length)
        if rng.random() < 0.2:
            other = [2 * x for x in one]
        a, b = numpy.array(one), numpy.array(other)
        norms = math.sqrt(math.fsum(x * x for x in one)) * math.sqrt(math.fsum(x * x for x in other))
        yield {"one": one, "other": other, "expected": None if norms == 0 else float(numpy.dot(a, b) / norms)}


class Tensor:
    """As much of a tensor, on numpy in double precision, as bert-score's function asks for."""

    def __init__(self, array):
        self.array = numpy.asarray(array, dtype=float)

    device = None

    def div_(self, other):
        self.array = self.array / other.array
        return self

    def __getitem__(self, key):
        return Tensor(self.array[key])

    def unsqueeze(self, axis):
        return Tensor(numpy.expand_dims(self.array, axis))

    def transpose(self, one, other):
        return Tensor(numpy.swapaxes(self.array, one, other))

    def size(self, axis):
        return self.array.shape[axis]

    def expand(self, *shape):
        return Tensor(numpy.broadcast_to(self.array, [old if new == -1 else new for old, new in zip(self.array.shape, shape)]))

    def view_as(self, other):
        return Tensor(self.array.reshape(other.array.shape))

    def max(self, dim):
        return (Tensor(self.array.max(axis=dim)),)

    def sum(self, dim, keepdim=False):
        return Tensor(self.array.sum(axis=dim, keepdims=keepdim))

    def eq(self, number):
        return Tensor(self.array == number)

    def masked_fill(self, mask, number):
        return Tensor(numpy.where(mask.array.astype(bool), number, self.array))

    def same(self, *_):
        return self

    float = contiguous = to = same

    def __mul__(self, other):
        return Tensor(self.array * getattr(other, "array", other))

    __rmul__ = __mul__

    def __add__(self, other):
        return Tensor(self.array + other.array)

    def __truediv__(self, other):
        with numpy.errstate(invalid="ignore", divide="ignore"):
            return Tensor(self.array / other.array)


def greedy_cos_idf():
    """bert-score's own function; torch itself is too heavy for this."""
    path = pathlib.Path(importlib.util.find_spec("bert_score").origin).parent / "utils.py"
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "greedy_cos_idf"]
    torch = types.SimpleNamespace(
        norm=lambda tensor, dim: Tensor(numpy.linalg.norm(tensor.array, axis=dim)),
        bmm=lambda one, other: Tensor(one.array @ other.array),
        any=lambda tensor: bool(tensor.array.any()),
        isnan=lambda tensor: Tensor(numpy.isnan(tensor.array)),
    )
    scope = {"torch": torch, "sys": types.SimpleNamespace(stderr=None), "print": lambda *_, **__: None}
    exec(compile(tree, str(path), "exec"), scope)
    return scope["greedy_cos_idf"]


def bert_scores(rng, n):
    """One text a side: a first and a last token of weight 0, as tokenizers add them, and some between."""
    theirs = greedy_cos_idf()
    for _ in range(n):
        length = rng.choice([2, 4, 8])

        def side():
            n_tokens = 2 + rng.choice([0, 1, 1, 2, 3, 8])
            idf = rng.random() < 0.5
            weights = [0.0] + [round(rng.uniform(0.1, 5), 6) if idf else 1.0 for _ in range(n_tokens - 2)] + [0.0]
            return [[round(rng.gauss(0.2, 1), 2) or 0.01 for _ in range(length)] for _ in range(n_tokens)], weights

        (answer, answer_weights), (reference, reference_weights) = side(), side()
        if rng.random() < 0.1:
            answer, answer_weights = reference, reference_weights
        single = lambda vectors: numpy.array(vectors, dtype=numpy.float32)
        tensors = [Tensor([part]) for part in (single(reference), numpy.ones(len(reference)), reference_weights, single(answer), numpy.ones(len(answer)), answer_weights)]
        with numpy.errstate(invalid="ignore"):
            found = [float(part.array[0]) for part in theirs(*tensors)]
        yield {"answer": answer, "answer_weights": answer_weights, "reference": reference, "reference_weights": reference_weights, "expected": found}


def citations(rng, n):
    """ALCE's rules, written down a second time, with a stand-in for its entailment model that says the same about the same documents."""
    for _ in range(n):
        n_documents = rng.randint(1, 5)
        cited = [[rng.randint(1, n_documents + (rng.random() < 0.05)) for _ in range(rng.choice([0, 1, 1, 2, 3, 4]))] for _ in range(rng.randint(1, 6))]
        told = {}

        def entails(statement, documents):
            return told.setdefault((statement, tuple(sorted(set(documents)))), rng.random() < 0.6)

        n_entailed = n_right = n_cited = 0
        for statement, numbers in enumerate(cited):
            if not numbers or any(number > n_documents for number in numbers):
                continue
            numbers = numbers[:3]
            n_cited += len(numbers)
            joint = entails(statement, numbers)
            n_entailed += joint
            if not joint or len(numbers) == 1:
                n_right += joint
                continue
            for number in numbers:
                others = list(numbers)
                others.remove(number)
                if entails(statement, [number]) or not entails(statement, others):
                    n_right += 1
        yield {
            "cited": cited,
            "n_documents": n_documents,
            "told": [[statement, list(documents), holds] for (statement, documents), holds in told.items()],
            "expected": [n_entailed / len(cited), n_right / n_cited if n_cited else 0.0],
        }


FAMILIES = {"citations": citations, "rankings": rankings, "ties": ties, "cosines": cosines, "bert_scores": bert_scores}
