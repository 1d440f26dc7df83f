"""Writes libraries.json: the same questions put to the libraries a statistician would use.

scipy and statsmodels for tests of fixed samples, ssrm-test for the split of units, confseq for e-processes, confidence sequences and the
comparison of quantiles. Needs the packages of requirements.txt (confseq compiles against the headers of Boost);
`scripts/statistics` makes them a place and runs this in the slow suite. The file it writes is committed, and the tests read it.
"""

import itertools
import json
import pathlib
import warnings

import numpy as np
from confseq import betting, boundaries, predmix, quantiles
from scipy import optimize, stats
from ssrm_test.ssrm_test import sequential_bayes_factors
from statsmodels.stats import contingency_tables, multitest, proportion, weightstats

rng = np.random.default_rng(20250911)


def mcnemar():
    for first, second in itertools.chain([(0, 0), (0, 1), (2, 8), (8, 2), (5, 5), (70, 41), (0, 30), (400, 452)], rng.integers(0, 60, (6, 2))):
        first, second = int(first), int(second)
        exact = contingency_tables.mcnemar([[0, first], [second, 0]], exact=True).pvalue if first + second else 1.0
        point = stats.binom.pmf(min(first, second), first + second, 0.5)
        mid = 1.0 if first == second else 2 * stats.binom.cdf(min(first, second), first + second, 0.5) - point
        worse = stats.binomtest(first, first + second, 0.5, alternative="greater").pvalue if first + second else 1.0
        yield {"first": first, "second": second, "exact": float(min(exact, 1)), "mid_p": float(mid), "worse": float(worse)}


def tango(n, worse, better, difference):
    """The score statistic with the likelihood maximised by search instead of the closed form."""

    def log_likelihood(q):
        cells = ((worse, q + difference), (better, q), (n - worse - better, 1 - 2 * q - difference))
        return sum(k * np.log(p) if k else 0.0 for k, p in cells)

    low, high = max(0.0, -difference), (1 - difference) / 2
    found = optimize.minimize_scalar(
        lambda q: -log_likelihood(q), bounds=(low + 1e-14, high - 1e-14), method="bounded", options={"xatol": 1e-13}
    )
    q = found.x if better or worse else low
    return (worse - better - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference)))


def equivalence():
    for n, worse, better, margin in [(44, 0, 1, 0.1), (1000, 12, 9, 0.01), (1000, 0, 0, 0.01), (300, 40, 10, 0.05), (5000, 60, 75, 0.005)]:
        yield {
            "kind": "rates", "n": n, "worse": worse, "better": better, "margin": margin,
            "below": float(stats.norm.cdf(tango(n, worse, better, margin))),
            "above": float(stats.norm.sf(tango(n, worse, better, -margin))),
        }
    for n, shift, margin in [(2, 0.0, 0.1), (30, 0.01, 0.05), (400, -0.03, 0.05)]:
        values = np.round(rng.normal(shift, 0.2, n), 9)
        _, above, below = weightstats.DescrStatsW(values).ttost_mean(-margin, margin)
        yield {"kind": "paired", "values": values.tolist(), "margin": margin, "below": float(below[1]), "above": float(above[1])}
    for n, m, margin in [(15, 40, 0.1), (300, 120, 0.05)]:
        candidate, baseline = np.round(rng.normal(0.7, 0.1, n), 9), np.round(rng.normal(0.71, 0.25, m), 9)
        _, above, below = weightstats.ttost_ind(candidate, baseline, -margin, margin, usevar="unequal")
        yield {
            "kind": "groups", "values": candidate.tolist(), "baseline": baseline.tolist(), "margin": margin,
            "below": float(below[1]), "above": float(above[1]),
        }


def multiplicity():
    for n in (1, 4, 12):
        p = np.round(rng.beta(0.4, 2, n), 9)
        yield {
            "p": p.tolist(),
            "holm": multitest.multipletests(p, method="holm")[1].tolist(),
            "benjamini_hochberg": multitest.multipletests(p, method="fdr_bh")[1].tolist(),
        }


def wilson():
    for bad, n in [(0, 10), (10, 100), (100, 100), (3, 4000)]:
        low, high = proportion.proportion_confint(bad, n, alpha=0.05, method="wilson")
        yield {"bad": bad, "n": n, "z": float(stats.norm.ppf(0.975)), "low": float(low), "high": float(high)}


def bootstrap():
    """scipy draws; both make intervals of the same draws."""
    for n, power in [(25, 1.0), (60, 2.0), (200, 0.5)]:
        values = np.round(rng.exponential(1.0, n) ** power, 9)
        results = {}
        for method in ("percentile", "BCa"):
            drawn = stats.bootstrap((values,), np.mean, n_resamples=999, method=method, rng=np.random.default_rng(n))
            results[method] = drawn.confidence_interval
        yield {
            "values": values.tolist(),
            "distribution": drawn.bootstrap_distribution.tolist(),
            "percentile": [float(results["percentile"].low), float(results["percentile"].high)],
            "bias_corrected": [float(results["BCa"].low), float(results["BCa"].high)],
        }


def special():
    for z in (-9.0, -3.3, -0.1, 0.0, 0.7, 1.9, 2.1, 6.0, 20.0):
        yield {"of": "normal_tail", "x": [z], "value": float(stats.norm.sf(z))}
    for p in (1e-12, 0.001, 0.3, 0.5, 0.999):
        yield {"of": "normal_quantile", "x": [p], "value": float(stats.norm.ppf(p))}
    for t, df in [(-2.0, 3.0), (0.0, 5.0), (0.3, 1.0), (2.5, 17.4), (9.0, 400.0)]:
        yield {"of": "student_tail", "x": [t, df], "value": float(stats.t.sf(t, df))}


def sample_ratio():
    for n, m, share in [(5300, 4700, 0.5), (56, 430, 0.1), (900, 500, 0.5)]:
        units = np.array([[n, m]])
        factor = sequential_bayes_factors(units, np.array([share, 1 - share]), dirichlet_concentration=100)[-1]
        yield {"counts": [n, m], "weights": [share, 1 - share], "log_e": float(np.log(factor))}


def beta_mixture():
    for null, tuned, hits, misses in [(0.05, 1000, 12, 150), (0.95, 1000, 700, 60), (0.5, 100, 40, 60), (0.2, 625, 135, 490), (0.99, 5000, 980, 4)]:
        n = hits + misses
        variance = null * (1 - null)
        at = lambda one_sided: boundaries.beta_binomial_log_mixture(
            hits - null * n, n * variance, tuned * variance, null, 1 - null, 0.05, one_sided
        )
        yield {"null": null, "tuned": tuned, "hits": hits, "misses": misses, "higher": at(True), "either": at(False)}


def rate():
    for bad, n, tuned in [(700, 1000, 100), (1, 50, 50), (30, 2000, 1000), (5000, 5000, 1000)]:
        low, high = boundaries.bernoulli_confidence_interval(bad, n, 0.05, tuned, 0.05)
        yield {"bad": bad, "n": n, "tuned": tuned, "low": low, "high": high}


def two_sided_quantiles():
    for quantile, n, m, scale in [(0.5, 300, 400, 1.6), (0.9, 900, 500, 1.9), (0.95, 1500, 1500, 2.2)]:
        first, second = rng.exponential(100.0, n).round(6), (scale * rng.exponential(100.0, m)).round(6)
        p = quantiles.quantile_ab_p_value(first, second, quantile, 1000, 0.05)
        yield {"quantile": quantile, "first": first.tolist(), "second": second.tolist(), "tuned": 1000, "p": p}


def bounded():
    for rate, n in [(0.2, 40), (0.7, 300)]:
        scores = np.round(rng.beta(4 * rate, 4 * (1 - rate), n), 6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            low, high = predmix.predmix_empbern_twosided_cs(scores, alpha=0.05, running_intersection=False)
        single = betting.betting_mart(scores, 0.5, lambdas_fn_positive=lambda x, m: np.full(len(x), 0.3), theta=1, convex_comb=True)
        yield {"scores": scores.tolist(), "low": float(low[-1]), "high": float(high[-1]), "single_bet": float(np.log(single[-1]))}


def main():
    makers = [mcnemar, equivalence, multiplicity, wilson, bootstrap, special, sample_ratio, beta_mixture, rate, two_sided_quantiles, bounded]
    groups = []
    for maker in makers:
        rows = ",\n".join("    " + json.dumps(case, separators=(",", ":")) for case in maker())
        groups.append(f'  "{maker.__name__}": [\n{rows}\n  ]')
    pathlib.Path(__file__).with_name("libraries.json").write_text("{\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    main()
