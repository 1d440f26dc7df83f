"""W9 drawn a second time, by another program with another generator: what five hundred cases and three prices leave open. Goal A-2: P50 of the saving
within half a point, P(cheaper) and P(saving >= 20 %) within 0.005, the same seed the same bytes.

    crossfade=target/debug/crossfade python tests/cost/odds.py
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUPPORT = (ROOT / "crates/crossfade/src/config/worksheet/right.yaml").read_text()
N = 200_000


def drawn():
    """Savings, from the formulas as the documentation has them."""
    source = random.Random(20261126)
    triangular = lambda low, mode, high: source.triangular(low, high, mode)
    savings = []
    for _ in range(N):
        of_api, of_own = source.betavariate(450.5, 50.5), source.betavariate(460.5, 40.5)
        gpu, on_call, wage = triangular(2, 3, 4.5), triangular(1500, 2250, 4500), triangular(30, 60, 120)
        attempt = (1155 * 2.5 + 211 * 10) / 1e6
        review = 2.4 * wage / 60
        # One retry that is right half of the time; people put right what is left.
        api = (2 - of_api) * attempt + (1 - of_api) / 2 * review
        fixed = 2 * gpu * 730 + on_call + 642.78 + 10
        vendor = 0.01 * (2 - of_api) * attempt
        own = fixed / 1.2e6 + vendor + (1 - of_own) / 2 * review
        savings.append(1 - own / api)
    savings.sort()
    at = lambda share: savings[min(N - 1, int(share * N))]
    return {"p10": at(0.1), "p50": at(0.5), "p90": at(0.9), "cheaper": sum(s > 0 for s in savings) / N, "reaches": sum(s >= 0.2 for s in savings) / N}


def asked(sheet, form):
    done = subprocess.run([os.environ["crossfade"], "tco", "run", sheet, "--draws", str(N), "--seed", "42", "--as", form], capture_output=True)
    assert done.returncode == 4, done.stderr
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as directory:
        sheet = pathlib.Path(directory) / "w9.yaml"
        sheet.write_text(SUPPORT.replace("first_pass: { value: 0.9, evidence: the vendor }", "first_pass: { seen: 450, of: 500 }"))
        began = time.perf_counter()
        first = asked(sheet, "json")
        took = time.perf_counter() - began
        wrong = [form for form in ("json", "html", "xlsx", "csv") if asked(sheet, form) != asked(sheet, form)]
    odds = json.loads(first)["odds"]
    found = {"p10": odds["saving"]["p10"], "p50": odds["saving"]["p50"], "p90": odds["saving"]["p90"], "cheaper": odds["cheaper"], "reaches": odds["reaches"]}
    expected = drawn()
    off = {name: (found[name], expected[name]) for name in expected if abs(found[name] - expected[name]) > 0.005}
    print(f"W9: {', '.join(f'{name} {found[name]:.4f} and {expected[name]:.4f}' for name in expected)}; {took:.2f} s; {len(off)} differ")
    if off or wrong:
        print("W9:", off, "not the same bytes:", wrong)
    return bool(off or wrong)


sys.exit(main())
