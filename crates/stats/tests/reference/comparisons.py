"""Writes comparisons.json: what an evaluation asks of a fixed sample, answered by scipy, statsmodels, krippendorff and confseq.

What no library has (Tango's interval, the stability index, the kernel distance) is computed here a second time, another way where there
is one. `scripts/statistics --reference` makes the packages of requirements.txt a place and compares; the file it writes is committed, and the tests read it.
"""

import json
import pathlib

import krippendorff as krippendorff_library
import numpy as np
from confseq import betting, betting_strategies, boundaries, quantiles
from scipy import optimize, stats
from statsmodels.regression import linear_model
from statsmodels.stats import inter_rater, multitest, power

from libraries import tango

rng = np.random.default_rng(20261125)


def tango_interval():
    z = stats.norm.ppf(0.975)
    for n, worse, better in [(44, 0, 1), (100, 0, 0), (1000, 12, 9), (300, 40, 10), (5000, 60, 75), (20, 20, 0)]:
        at = lambda difference, end: tango(n, worse, better, difference) - end
        estimate = (worse - better) / n
        ends = [-1.0 if better == n else optimize.brentq(at, -1 + 1e-9, estimate - 1e-9, args=(z,), xtol=1e-13)]
        ends.append(1.0 if worse == n else optimize.brentq(at, estimate + 1e-9, 1 - 1e-9, args=(-z,), xtol=1e-13))
        yield {"n": n, "worse": worse, "better": better, "low": ends[0], "high": ends[1]}


def bounded_means():
    for n, shift, margin in [(40, 0.0, 0.3), (400, -0.02, 0.1), (400, 0.1, 0.1), (2000, 0.0, 0.05)]:
        values = np.round(np.clip(rng.normal(shift, 0.3, n), -1, 1), 6)

        def p(values):
            scores, null = (1 - values) / 2, (1 - margin) / 2
            bets = lambda x, m: betting_strategies.lambda_predmix_eb(x, alpha=0.05, fixed_n=n)
            wealth = betting.betting_mart(scores, null, lambdas_fn_positive=bets, theta=1, convex_comb=True)
            return float(min(1.0, 1 / wealth.max()))

        yield {"values": values.tolist(), "margin": margin, "below": p(values), "above": p(-values)}


def clustered_error():
    for groups, size in [(8, 5), (60, 12)]:
        cluster = rng.integers(0, groups, groups * size)
        values = np.round(rng.normal(0, 0.2, groups)[cluster] + rng.normal(0.05, 0.1, groups * size), 6)
        fit = linear_model.OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
        yield {"cluster": cluster.tolist(), "values": values.tolist(), "mean": float(fit.params[0]), "error": float(fit.bse[0])}


def sign_flips():
    for n in (3, 9, 15):
        values = np.round(rng.normal(0.1, 0.3, n), 3)
        p = {
            side: stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative=side).pvalue
            for side in ("greater", "less", "two-sided")
        }
        yield {"sums": values.tolist(), "higher": float(p["greater"]), "lower": float(p["less"]), "both": float(p["two-sided"])}


def hochberg():
    for n in (1, 5, 20):
        p = np.round(rng.beta(0.4, 2, n), 9)
        yield {"p": p.tolist(), "adjusted": multitest.multipletests(p, method="simes-hochberg")[1].tolist()}


def pairs_for_means():
    """How many Student's t needs by its noncentral distribution."""
    for effect, alpha, wanted in [(0.1, 0.05, 0.8), (0.25, 0.05, 0.9), (0.5, 0.025, 0.9), (0.8, 0.05, 0.8)]:
        n = power.TTestPower().solve_power(effect, alpha=alpha, power=wanted, alternative="larger")
        yield {"effect": effect, "alpha": alpha, "power": wanted, "pairs": float(np.ceil(np.squeeze(n)))}


def cohen():
    for k in (2, 3, 5):
        table = rng.integers(0, 9, (k, k)) + np.diag(rng.integers(5, 30, k))
        for name, weights in (("same", None), ("linear", "linear"), ("quadratic", "quadratic")):
            found = inter_rater.cohens_kappa(table, wt=weights)
            error = found.std_kappa
            yield {"table": table.tolist(), "weights": name, "kappa": float(found.kappa), "error": float(error)}


def fleiss():
    for items, categories, raters in [(10, 2, 3), (30, 4, 6)]:
        ratings = rng.multinomial(raters, rng.dirichlet(np.full(categories, 0.5)), items)
        yield {"ratings": ratings.tolist(), "kappa": float(inter_rater.fleiss_kappa(ratings, method="fleiss"))}


def krippendorff():
    for raters, items in [(2, 12), (4, 30)]:
        truth = rng.integers(1, 6, items)
        ratings = np.clip(truth + rng.integers(-1, 2, (raters, items)), 1, 5).astype(float)
        ratings[rng.random((raters, items)) < 0.2] = np.nan
        given = [[float(value) for value in column if not np.isnan(value)] for column in ratings.T]
        for scale in ("nominal", "ordinal", "interval"):
            yield {"items": given, "scale": scale, "alpha": float(krippendorff_library.alpha(ratings, level_of_measurement=scale))}


def smirnov():
    for n, m, shift, digits in [(5, 7, 0.5, 6), (40, 60, 0.3, 6), (300, 200, 0.1, 6), (80, 80, 0.0, 1)]:
        first, second = np.round(rng.normal(0, 1, n), digits), np.round(rng.normal(shift, 1, m), digits)
        exact = stats.ks_2samp(first, second, method="exact")
        yield {"first": first.tolist(), "second": second.tolist(), "statistic": float(exact.statistic), "p": float(exact.pvalue)}


def smirnov_of_many():
    """Samples that the test makes by the same formula, too large to count: the limiting distribution."""
    for n, m, power_of in [(9000, 7000, 1.02), (9000, 7000, 1.05), (5000, 5000, 1.1)]:
        first, second = np.arange(n) / n, ((np.arange(m) + 0.5) / m) ** power_of
        statistic = stats.ks_2samp(first, second, method="asymp").statistic
        p = stats.kstwobign.sf(statistic * np.sqrt(n * m / (n + m)))
        yield {"n": n, "m": m, "power": power_of, "statistic": float(statistic), "p": float(p)}


def discrepancy():
    for n, m, shift, bandwidth in [(3, 4, 0.5, 1.0), (12, 9, 1.0, 1.7)]:
        first, second = (np.round(rng.normal(at, 1, (k, 3)), 3) for k, at in ((n, 0), (m, shift)))
        gram = lambda x, y: np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * bandwidth**2))

        def statistic(first, second):
            within = [(gram(x, x).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (first, second)]
            return sum(within) - 2 * gram(first, second).mean()

        both = np.r_[first, second]
        by_places = lambda a, b: statistic(both[a.astype(int)], both[b.astype(int)])
        places = np.arange(n + m)
        p = stats.permutation_test(
            (places[:n], places[n:]), by_places, n_resamples=np.inf if n + m < 10 else 20_000, alternative="greater", vectorized=False, rng=1
        ).pvalue
        median = np.median([np.linalg.norm(both[i] - both[j]) for i in range(n + m) for j in range(i)])
        yield {
            "first": first.tolist(), "second": second.tolist(), "bandwidth": bandwidth,
            "statistic": float(statistic(first, second)), "p": float(p), "median": float(median),
        }


def stability():
    for bins in (4, 10):
        reference, current = rng.integers(0, 200, bins), rng.integers(0, 50, bins)
        reference[0] = 0
        r, c = (np.maximum(x / x.sum(), 1e-4) for x in (reference, current))
        yield {"reference": reference.tolist(), "current": current.tolist(), "index": float(np.sum((c - r) * np.log(c / r)))}


def bands():
    for n, tuned, quantile in [(100, 100, 0.5), (1000, 100, 0.99), (50_000, 1000, 0.05), (20, 500, 0.9)]:
        yield {
            "n": n, "tuned": tuned, "quantile": quantile,
            "stitched": float(quantiles.double_stitching_bound(quantile, n, 0.05, tuned, 0.5, 1.4, 2)),
            "margin": float(quantiles.empirical_process_lil_bound(n, 0.05, 10, 0.85)),
        }


def normal_mixture():
    for sum_of, variance, tuned, is_one_sided in [(3.0, 10.0, 5.0, True), (-20.0, 200.0, 100.0, True), (40.0, 300.0, 100.0, False)]:
        yield {
            "sum": sum_of, "variance": variance, "tuned": tuned, "is_one_sided": is_one_sided,
            "log_e": float(boundaries.normal_log_mixture(sum_of, variance, tuned, 0.05, is_one_sided)),
            "bound": float(boundaries.normal_mixture_bound(variance, 0.05, tuned, 0.05, is_one_sided)),
        }


def main():
    makers = [
        tango_interval, bounded_means, clustered_error, sign_flips, hochberg, pairs_for_means, cohen, fleiss, krippendorff, smirnov, smirnov_of_many,
        discrepancy, stability, bands, normal_mixture,
    ]
    groups = []
    for maker in makers:
        rows = ",\n".join("    " + json.dumps(case, separators=(",", ":")) for case in maker())
        groups.append(f'  "{maker.__name__}": [\n{rows}\n  ]')
    pathlib.Path(__file__).with_name("comparisons.json").write_text("{\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    main()
