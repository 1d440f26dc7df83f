"""Cases of ranked lists with what pytrec_eval, ir-measures, ranx, rbo and scipy make of them, one a line, to standard output.

    retrieval.py [--cases N] [--seed S]

Runs have ties and gaps (documents that nobody judged, judged ones that were not found), grades are 0 to 3. Ties are the later id first with trec_eval and so with
pytrec_eval and ir-measures; ranx keeps what its sort leaves, so it is asked only where no two scores are equal. Scores are such that 32-bit floats, which trec_eval keeps,
tell them apart. Needs the packages of retrieval.txt; `scripts/retrieval` makes them a place.
"""

import argparse
import json
import random
import warnings

import ir_measures
import pytrec_eval
import rbo
from ir_measures import AP, P, R, nDCG
from scipy.stats import kendalltau

warnings.filterwarnings("ignore")
import ranx  # noqa: E402

PERSISTENCE = 0.9


def case(rng):
    known = [f"d{idx}" for idx in range(rng.randint(2, 40))]
    relevance = {one: rng.choice([0, 0, 0, 1, 1, 2, 3]) for one in rng.sample(known, rng.randint(1, len(known)))}
    relevance[rng.choice(list(relevance))] = rng.choice([1, 2, 3])
    grid = rng.choice([4, 16, 1 << 16])
    run = {one: rng.randint(-grid, grid) / grid for one in rng.sample(known, rng.randint(1, len(known)))}
    k = rng.choice([1, 3, 5, 10, 20])
    measures = {f"ndcg_cut.{k}", f"recall.{k}", f"P.{k}", f"map_cut.{k}", "recip_rank"}
    trec = pytrec_eval.RelevanceEvaluator({"q": relevance}, measures).evaluate({"q": run})["q"]
    expected = {
        "ndcg": {"pytrec_eval": trec[f"ndcg_cut_{k}"]},
        "recall": {"pytrec_eval": trec[f"recall_{k}"]},
        "precision": {"pytrec_eval": trec[f"P_{k}"]},
        "map": {"pytrec_eval": trec[f"map_cut_{k}"]},
        "mrr_whole": {"pytrec_eval": trec["recip_rank"]},
    }
    names = {"ndcg": nDCG @ k, "recall": R @ k, "precision": P @ k, "map": AP @ k}
    qrels = [ir_measures.Qrel("q", one, grade) for one, grade in relevance.items()]
    docs = [ir_measures.ScoredDoc("q", one, score) for one, score in run.items()]
    found = ir_measures.pytrec_eval.calc_aggregate(list(names.values()), qrels, docs)
    for name, measure in names.items():
        expected[name]["ir_measures"] = found[measure]
    if len(set(run.values())) == len(run):
        theirs = {"ndcg": f"ndcg@{k}", "recall": f"recall@{k}", "precision": f"precision@{k}", "map": f"map@{k}", "mrr": f"mrr@{k}"}
        # ranx takes what has a grade for judged relevant from 1 up, like the others.
        found = ranx.evaluate(ranx.Qrels({"q": relevance}), ranx.Run({"q": run}), list(theirs.values()))
        for name, measure in theirs.items():
            expected.setdefault(name, {})["ranx"] = float(found[measure])
    one, other = rng.sample(known, rng.randint(1, len(known))), rng.sample(known, rng.randint(1, len(known)))
    places = {doc: idx for idx, doc in enumerate(other)}
    common = [places[doc] for doc in one if doc in places]
    tau = kendalltau(range(len(common)), common).statistic if len(common) > 1 else None
    alike = {"rbo": rbo.RankingSimilarity(one, other).rbo_ext(p=PERSISTENCE), "kendall": None if tau is None else float(tau)}
    return {"relevance": relevance, "run": run, "k": k, "expected": expected, "one": one, "other": other, "alike": alike}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    for _ in range(args.cases):
        print(json.dumps(case(rng), separators=(",", ":"), allow_nan=False))


if __name__ == "__main__":
    main()
