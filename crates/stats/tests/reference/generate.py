"""Writes reference.json: the statistics of this room, computed a second time by other means.

Plain formulas over numpy arrays and scipy's special functions; nothing is shared with the Rust code. Needs numpy and
scipy; run it from anywhere: python3 generate.py. The file it writes is committed, and the tests read it.
"""

import collections
import itertools
import json
import pathlib

import numpy as np
from scipy import special
from scipy.optimize import brentq

rng = np.random.default_rng(20240917)


def mixture(log_wealth):
    return float(special.logsumexp(log_wealth))


def theta(share, ratio):
    return share * ratio / (share * ratio + 1 - share)


def relative(share, ratio, events, start_weight, restart_every=50):
    """Every restart is kept as its own start; nothing is folded together until the end."""
    risks = np.geomspace(1.2, 100, 24)
    weights = risks**-0.5 / np.sum(risks**-0.5)
    grid = ratio * risks
    null = theta(share, ratio)
    kept = lambda j: (1 - start_weight) / np.sqrt(1 + j / 30)
    starts = [(0, start_weight)]
    n_restarts = len(events) // restart_every
    starts += [(j * restart_every, kept(j - 1) - kept(j)) for j in range(1, n_restarts + 1)]
    events = np.array(events)
    parts = [np.log(kept(n_restarts))]
    for begin, money in starts:
        k1 = events[begin:].sum()
        k0 = len(events) - begin - k1
        log_wealth = k1 * np.log(theta(share, grid) / null) + k0 * np.log((1 - theta(share, grid)) / (1 - null))
        parts.extend(log_wealth + np.log(money * weights))
    return mixture(parts)


def absolute(limit, events, start_weight):
    """By the definition: every restart, each with what it has won since, and what is left."""
    bets = np.geomspace(0.002, 0.98, 20)
    purses = [
        (lambda n: 1 / (1 + np.log(1 + n)), bets**0.0),
        (lambda n: (1 + n / 10) ** -0.7, bets**1.5),
        (lambda n: (1 + n / 3) ** -0.7, bets**4.0),
    ]
    events = np.array(events)
    starts, used, in_row = [(0, start_weight * np.full(20, 1 / 20))], [0, 0, 0], 0
    for at, is_bad in enumerate(events):
        in_row = in_row + 1 if is_bad else 0
        for idx, (kept, weights) in enumerate(purses):
            if in_row > idx:
                money = (1 - start_weight) / 3 * (kept(used[idx]) - kept(used[idx] + 1))
                starts.append((at + 1, money * weights / weights.sum()))
                used[idx] += 1
    parts = [np.log(sum((1 - start_weight) / 3 * kept(n) for (kept, _), n in zip(purses, used)))]
    for begin, money in starts:
        n_bad = events[begin:].sum()
        n_good = len(events) - begin - n_bad
        parts.extend(n_bad * np.log1p(bets * (1 - limit) / limit) + n_good * np.log1p(-bets) + np.log(money))
    return mixture(parts)


def truncated_beta(share, k1, k0):
    """None where the tail is too small for a float; the code under test works in logarithms."""
    tail = special.betainc(1 + k0, 1 + k1, 1 - share)
    if tail < 1e-290:
        return None
    return float(
        special.betaln(1 + k1, 1 + k0) + np.log(tail) - np.log1p(-share) - k1 * np.log(share) - k0 * np.log1p(-share)
    )


def empirical_bernstein(values, centres, scale, null):
    bets = np.geomspace(0.02, 0.95, 16)
    values, centres = np.array(values), np.array(centres)
    psi = -np.log1p(-bets) - bets
    steps = np.outer(bets, (values - null) / scale) - np.outer(psi, ((values - centres) / scale) ** 2)
    return mixture(steps.sum(axis=1) - np.log(len(bets)))


def fixed_bets(values, null, floor):
    bets = np.geomspace(0.01, 0.98, 12)
    weights = bets**0.25 / np.sum(bets**0.25)
    gains = (np.asarray(values) - null) / (null - floor)
    return mixture(np.log1p(np.outer(bets, gains)).sum(axis=1) + np.log(weights))


def lower_bound(values, centres, scale, alpha):
    mean = float(np.mean(values))
    excess = lambda null: empirical_bernstein(values, centres, scale, null) + np.log(alpha)
    return float(brentq(excess, mean - 50 * scale, mean, xtol=1e-13))


def unpaired(share, centre, counts, margin):
    """One value per unit, spelled out."""
    (n1, bad1), (n0, bad0) = counts
    candidate = np.r_[np.ones(bad1), np.zeros(n1 - bad1)]
    baseline = np.r_[np.ones(bad0), np.zeros(n0 - bad0)]
    z = np.r_[(candidate - centre) / share, -(baseline - centre) / (1 - share)]
    floor = -max((1 - centre) / share, centre / (1 - share))
    return fixed_bets(-z, -margin, floor)


def unpaired_scores(share, centre, candidate, baseline, margin):
    z = np.r_[(np.array(candidate) - centre) / share, -(np.array(baseline) - centre) / (1 - share)]
    return fixed_bets(z, -margin, -max(centre / share, (1 - centre) / (1 - share)))


def certificate(limit, n_good, n_bad):
    bets = np.geomspace(0.002, 0.9, 20)
    growth = n_good * np.log1p(bets * limit / (1 - limit)) + n_bad * np.log1p(-bets)
    return mixture(growth - np.log(len(bets)))


def one_sided_beta(null, hits, misses, n_tuned=1000, alpha=0.05):
    """A Beta prior cut off below the null, integrated numerically on the logarithm of the odds."""
    v, l = null * (1 - null), -np.log(2 * alpha)
    r = max(n_tuned * v / (2 * l + np.log1p(2 * l)) - v, v / 1000)
    a, b = r / (1 - null), r / null
    odds = np.linspace(special.logit(null), special.logit(null) + 60, 40_001)
    theta, log_other = special.expit(odds), special.log_expit(-odds)
    prior = a * np.log(theta) + b * log_other
    weight = np.tile([2.0, 4.0], len(odds) // 2 + 1)[: len(odds)]
    weight[[0, -1]] = 1
    posterior = prior + hits * (np.log(theta) - np.log(null)) + misses * (log_other - np.log1p(-null))
    return float(special.logsumexp(posterior, b=weight) - special.logsumexp(prior, b=weight))


def higher_quantile(quantile, high, low):
    """Every value of either arm is tried, and a point below them all."""
    high, low = np.array(high), np.array(low)
    tried = np.r_[min(high.min(), low.min()) - 1, high, low]
    return min(
        one_sided_beta(1 - quantile, (high > x).sum(), (high <= x).sum())
        + one_sided_beta(quantile, (low < x).sum(), (low >= x).sum())
        for x in tried
    )


def familywise(log_e):
    """The least mean over every set that holds the hypothesis."""
    sets = [s for n in range(1, len(log_e) + 1) for s in itertools.combinations(range(len(log_e)), n)]
    mean = {s: special.logsumexp([log_e[i] for i in s]) - np.log(len(s)) for s in sets}
    return [float(min(mean[s] for s in sets if i in s)) for i in range(len(log_e))]


def sample_ratio(counts, weights, concentration=100):
    counts, a = np.array(counts), concentration * np.array(weights)
    return float(
        special.gammaln(a.sum())
        - special.gammaln(a.sum() + counts.sum())
        + (special.gammaln(a + counts) - special.gammaln(a)).sum()
        - (counts * np.log(weights)).sum()
    )


def main():
    cases = collections.defaultdict(list)
    for share in (0.01, 0.05, 0.1, 0.5, 0.9, 0.98):
        for ratio in (1.0, 1.25):
            for risk in (1.0, 2.0, 5.0):
                n = int(rng.integers(1, 400))
                events = (rng.random(n) < theta(share, risk)).astype(int).tolist()
                log_e = relative(share, ratio, events, 0.75)
                cases["relative"].append(
                    {"share": share, "ratio": ratio, "start_weight": 0.75, "events": events, "log_e": log_e}
                )
    for rate in (0.0, 0.01, 0.05, 0.2, 1.0):
        for n in (5, 100, 1000):
            events = (rng.random(n) < rate).astype(int).tolist()
            cases["absolute"].append(
                {"limit": 0.05, "start_weight": 0.4, "events": events, "log_e": absolute(0.05, events, 0.4)}
            )
    for share in (0.01, 0.1, 0.5, 0.9):
        for k1, k0 in ((0, 0), (1, 0), (0, 7), (12, 40), (300, 250), (40, 4000)):
            log_e = truncated_beta(share, k1, k0)
            if log_e is not None:
                cases["truncated_beta"].append({"share": share, "k1": k1, "k0": k0, "log_e": log_e})
    for n in (1, 30, 500):
        for scale in (1.0, 3.5):
            values = np.round(rng.choice([-1, 0, 1], n, p=[0.1, 0.7, 0.2]) * scale * 0.5, 6)
            centres = np.round(rng.uniform(-0.3, 0.3, n), 6)
            log_e = empirical_bernstein(values, centres, scale, -0.05)
            cases["empirical_bernstein"].append(
                {
                    "scale": scale,
                    "values": values.tolist(),
                    "centres": centres.tolist(),
                    "null": -0.05,
                    "log_e": log_e,
                    "lower_bound_05": lower_bound(values, centres, scale, 0.05),
                }
            )
    for share in (0.05, 0.5, 0.9):
        for counts in (((100, 1), (1900, 22)), ((3000, 30), (3000, 31)), ((5000, 90), (400, 2))):
            cases["unpaired"].append(
                {
                    "share": share,
                    "centre": 0.0125,
                    "candidate": counts[0],
                    "baseline": counts[1],
                    "margin": 0.01,
                    "log_e": unpaired(share, 0.0125, counts, 0.01),
                }
            )
    for counts, weights in (((0, 0), (0.5, 0.5)), ((510, 9490), (0.05, 0.95)), ((700_000, 7_300_000), (0.09, 0.91))):
        cases["sample_ratio"].append({"counts": counts, "weights": weights, "log_e": sample_ratio(counts, weights)})
    for share, n in ((0.1, 400), (0.5, 60), (0.9, 300)):
        candidate = np.round(rng.beta(6, 2, int(n * share)), 3)
        baseline = np.round(rng.beta(7, 2, n - int(n * share)), 3)
        cases["unpaired_scores"].append(
            {
                "share": share,
                "centre": 0.8,
                "candidate": candidate.tolist(),
                "baseline": baseline.tolist(),
                "margin": 0.05,
                "log_e": unpaired_scores(share, 0.8, candidate, baseline, 0.05),
            }
        )
    for n, worse, better in ((50, 0, 0), (1200, 14, 11), (20000, 230, 190)):
        values = np.r_[-np.ones(worse), np.ones(better), np.zeros(n - worse - better)]
        case = {"n": n, "worse": worse, "better": better, "margin": 0.01, "log_e": fixed_bets(values, -0.01, -1)}
        cases["paired"].append(case)
    for limit, good, bad in ((0.05, 169, 0), (0.05, 820, 25), (0.01, 30, 4)):
        cases["certificate"].append({"limit": limit, "good": good, "bad": bad, "log_e": certificate(limit, good, bad)})
    for quantile, n, m, by in ((0.95, 40, 60, 2.0), (0.5, 50, 30, 1.0), (0.99, 80, 20, 3.0)):
        high, low = np.round(by * rng.exponential(100, n), 3), np.round(rng.exponential(100, m), 3)
        case = {"quantile": quantile, "high": sorted(high.tolist()), "low": sorted(low.tolist())}
        cases["higher_quantile"].append(case | {"log_e": higher_quantile(quantile, high, low)})
    for n in (1, 3, 7):
        log_e = np.round(rng.normal(1, 3, n), 6).tolist()
        cases["familywise"].append({"log_e": log_e, "adjusted": familywise(log_e)})
    path = pathlib.Path(__file__).with_name("reference.json")
    groups = []
    for name, group in cases.items():
        rows = ",\n".join("    " + json.dumps(case, separators=(",", ":")) for case in group)
        groups.append(f'  "{name}": [\n{rows}\n  ]')
    path.write_text("{\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    main()
