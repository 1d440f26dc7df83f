"""What the reference implementations say about random texts: SQuAD's script, rouge-score, NLTK's stemmer, sacreBLEU."""

import importlib.util
import pathlib
import re
import types

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

import draw

ROUGES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}


def squad_script():
    """The functions of SQuAD's script, from the file of them that transformers 4 ships, without the rest of it."""
    root = pathlib.Path(importlib.util.find_spec("transformers").origin).parent
    source = (root / "data/metrics/squad_metrics.py").read_text()
    source = re.sub(r"^(from \.\.\..*|logger = .*)$", "", source, flags=re.M)
    module = types.ModuleType("squad_metrics")
    exec(compile(source, "squad_metrics.py", "exec"), module.__dict__)
    return module


def squad(rng, n):
    script = squad_script()
    for idx in range(n):
        case = draw.pair(rng)
        example = types.SimpleNamespace(qas_id=idx, answers=[{"text": reference} for reference in case["references"]])
        exact, f1 = script.get_raw_scores([example], {idx: case["answer"]})
        yield case | {"expected": {"squad_em": exact[idx], "squad_f1": f1[idx]}}


def rouge(rng, n):
    scorers = {stemmed: rouge_scorer.RougeScorer(list(ROUGES.values()), use_stemmer=stemmed) for stemmed in (False, True)}
    for _ in range(n):
        case = draw.pair(rng) | {"stemmed": rng.random() < 0.5}
        found = scorers[case["stemmed"]].score_multi(case["references"], case["answer"])
        parts = scorers[case["stemmed"]].score(case["references"][0], case["answer"])
        yield case | {
            "expected": {name: found[theirs].fmeasure for name, theirs in ROUGES.items()},
            "first": {name: list(parts[theirs]) for name, theirs in ROUGES.items()},
        }


STEMS = "relat condit val hesit digit conform radic differ vil analog vietnam predic oper feudal decis hope call formal sens trip electr good rev allow infer airlin gyrosc adjust defens irrit replac depend adopt homolog commun activ angul effect bowdler prob ceas contr roll sky spy dy ly happ enjo fl agr fe plast bl motor s conflat troubl siz hopp tann fall hiss fizz fail fil geo theo archaeo".split()
ENDS = "s ses sses ies ss ed eed ing ied y at bl iz ational tional enci anci izer abli bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion tion sion ou ism ate iti ous ive ize e ll lle".split()


def porter(rng, n):
    """Ten words a case."""
    stemmer = PorterStemmer()
    for _ in range(n):
        words = []
        while len(words) < 10:
            kind = rng.random()
            if kind < 0.6:
                word = rng.choice(STEMS) + "".join(rng.choice(ENDS) for _ in range(rng.choice([0, 1, 1, 1, 2, 3])))
            elif kind < 0.95:
                word = "".join(rng.choice("aeiouybcdfglnrstz") for _ in range(rng.randint(0, 9))) + rng.choice(ENDS + [""])
            else:
                word = "".join(rng.choice("yaxs0127e") for _ in range(rng.randint(1, 12)))
            if word:
                words.append(word)
        yield {"words": words, "expected": [stemmer.stem(word) for word in words]}


def translation(rng, n):
    """BLEU and chrF of one answer."""
    metrics = {"bleu": BLEU(effective_order=True), "chrf": CHRF(), "chrf_plus_plus": CHRF(word_order=2)}
    for _ in range(n):
        case = draw.pair(rng)
        scores = {name: metric.sentence_score(case["answer"], case["references"]).score for name, metric in metrics.items()}
        yield case | {"expected": scores}


def corpus(rng, n):
    """BLEU and chrF of a few answers together."""
    metrics = {"bleu": BLEU(), "chrf": CHRF(), "chrf_plus_plus": CHRF(word_order=2)}
    for _ in range(n):
        n_references = rng.choice([1, 1, 2, 3])
        cases = []
        for _ in range(rng.randint(1, 5)):
            found = [draw.text(rng) for _ in range(n_references)]
            cases.append({"references": found, "answer": draw.like(rng, rng.choice(found))})
        answers = [case["answer"] for case in cases]
        streams = [[case["references"][idx] for case in cases] for idx in range(n_references)]
        yield {"cases": cases, "expected": {name: metric.corpus_score(answers, streams).score for name, metric in metrics.items()}}


FAMILIES = {"squad": squad, "rouge": rouge, "porter": porter, "translation": translation, "corpus": corpus}
