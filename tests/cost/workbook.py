"""The workbooks of `crossfade tco` computed anew by another engine: every figure of every workbook, to 1e-9, and again after an input was
changed. The worked answers W1 to W8 are those of docs/reference/tco.md's formulas, computed by hand: they have to stand in the workbook, in the JSON
and in the CSV. And of every study: both sides have every line item, one that is 0 says why, and no figure lacks its source, day or id.

    crossfade=target/debug/crossfade python tests/cost/workbook.py
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import formualizer
import openpyxl

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUPPORT = (ROOT / "crates/crossfade/src/config/worksheet/right.yaml").read_text()

PEAK = "{ peak: { tokens_per_second: 1000, per_gpu: SPEED, headroom: 0.2, spare: 1 }, per_hour: 2.5 }"
SERVER = ("{ count: 8, server: { price: 300_000, gpus: 8, months: 36, residual: 0.25, interest: INTEREST, kilowatts: 10.2, pue: 1.4, "
          "kwh: 0.10, duty: 1, utilization: 0.6 } }")


def with_gpus(text, gpus, side):
    """The worksheet with other GPUs at a side."""
    old = {"baseline": 'gpus: { none: "the vendor runs the machines" }',
           "candidate": "gpus: { count: 2, per_hour: { value: 3, low: 2, high: 4.5, evidence: three offers } }"}[side]
    assert old in text
    return text.replace(old, f"gpus: {gpus}")


def growing(text):
    return text.replace("growth: { tasks: 0, tokens: 0 }", "growth: { tasks: 0.1, tokens: 0.02 }").replace("price_change: 0", "price_change: -0.01")


ITEMS = ["storage", "load_balancers", "observability", "quality_staff", "on_call", "security_review", "evaluation_runs", "embeddings", "vector_storage"]
NONE = '{ none: "the example has none" }'


def side(name, first_pass=1, retries="[]", attempt=NONE, minutes=0, gpus=NONE, on_call=NONE):
    """A side at which everything else is right and free."""
    items = "".join(f"    {item}: {on_call if item == 'on_call' else NONE}\n" for item in ITEMS)
    return (f"  name: {name}\n  first_pass: {first_pass}\n  retries: {retries}\n  attempt: {attempt}\n  price_change: 0\n"
            f"  review: {{ sampled: 0, sampled_minutes: 0, escalated: 1, escalated_minutes: {minutes}, fixed: 1 }}\n"
            f"  undetected: {{ share: 0, cost: 0 }}\n  gpus: {gpus}\n  fallback: {NONE}\n  items:\n{items}")


def study(baseline, candidate, review_hour=60, one_off="{}", months=12):
    return (f"worksheet: crossfade-tco/1\nname: example\ndate: 2026-11-26\ntasks_per_month: 1_200_000\nreview_hour: {review_hour}\n"
            f"target_saving: 0.2\ncertainty: 0.8\nhorizon: {{ months: {months}, discount: 0 }}\ngrowth: {{ tasks: 0, tokens: 0 }}\n"
            f"one_off: {one_off}\nbaseline:\n{side(**baseline)}candidate:\n{side(**candidate)}")


def streams(speed):
    """W2: streams of one speed at one request a second of 200 tokens, at most 5 % waiting longer than a second."""
    return ("{ slots: { requests_per_second: 1, answer_tokens: 200, stream_tokens_per_second: " + str(speed) +
            ", streams_per_gpu: 1, wait_s: 1, late: 0.05, spare: 0 }, per_hour: 2.5 }")


W2 = study({"name": "fast", "gpus": streams(40)}, {"name": "slow", "gpus": streams(25)}, months=3)


def w2(rate):
    return {f"{who}.gpus.slots.requests_per_second": str(rate) for who in ("baseline", "candidate")}


def w3(retries):
    sides = [("a", 0.8, 0.004), ("b", 0.92, 0.010)]
    return study(*({"name": name, "first_pass": right, "retries": f"[{right}]" if retries else "[]", "attempt": attempt, "minutes": 5}
                   for name, right, attempt in sides), review_hour=40)


W4 = study({"name": "a", "first_pass": 0.75, "retries": "[1]", "attempt": 0.010}, {"name": "b", "first_pass": 0.5, "retries": "[1]", "attempt": 0.009})
W5 = study({"name": "api", "attempt": 0.1}, {"name": "own", "on_call": 70_000}, one_off="{ migration: 450_000 }")

# Name, worksheet, what `--set` changes, and figures known by hand.
STUDIES = [
    ("W1", with_gpus(with_gpus(SUPPORT, PEAK.replace("SPEED", "40"), "baseline"), PEAK.replace("SPEED", "25"), "candidate"), {},
     {"baseline.gpus.count": 31, "candidate.gpus.count": 49,
      "baseline.item.gpu": 45625, "baseline.item.autoscaling_headroom": 9125, "baseline.item.redundancy": 1825}),
    ("W1 alone", study({"name": "fast", "gpus": PEAK.replace("SPEED", "40")}, {"name": "slow", "gpus": PEAK.replace("SPEED", "25")}), {},
     {"baseline.total": 56575, "candidate.total": 89425, "delta.share": 0.5806}),
    ("W2 at 1 a second", W2, {}, {"baseline.gpus.count": 9, "candidate.gpus.count": 13}),
    ("W2 at 5", W2, w2(5), {"baseline.gpus.count": 32, "candidate.gpus.count": 49}),
    ("W2 at 20", W2.replace("requests_per_second: 1,", "requests_per_second: 20,"), {}, {"baseline.gpus.count": 109, "candidate.gpus.count": 173}),
    ("W2 growing", W2.replace("tasks: 0,", "tasks: 0.5,"), {}, {"month_001.baseline": 9 * 1825, "month_002.baseline": 12 * 1825}),
    ("W3", w3(False), {},
     {"baseline.cost_per_successful_task": 0.67067, "candidate.cost_per_successful_task": 0.27667, "even.review": 0.05, "even.review_hour": 0.6}),
    ("W3 with a retry", w3(True), {}, {"baseline.cost_per_successful_task": 0.13813, "candidate.cost_per_successful_task": 0.03213}),
    ("W4", W4, {}, {"baseline.attempts": 1.25, "candidate.attempts": 1.5, "baseline.cost_per_successful_task": 0.0125,
                    "candidate.cost_per_successful_task": 0.0135, "delta.share": 0.08}),
    ("W5", W5, {}, {"baseline.total": 120_000, "candidate.total": 70_000, "even.month": 9, "present_worth": 150_000}),
    ("W6", with_gpus(SUPPORT, SERVER.replace("INTEREST", '{ none: "straight line" }'), "candidate"), {},
     {"candidate.gpus.server_month": 6250, "candidate.gpus.server_power": 1042.44, "candidate.gpus.per_hour": 2.0812}),
    ("W6 all the time", with_gpus(SUPPORT, SERVER.replace("INTEREST", '{ none: "straight line" }'), "candidate"), {"candidate.gpus.server.utilization": "1"},
     {"candidate.gpus.per_hour": 1.2487}),
    ("W6 with interest", with_gpus(SUPPORT, SERVER.replace("INTEREST", "0.10"), "candidate"), {}, {"candidate.gpus.server_month": 7885.12}),
    ("W7 and W8", SUPPORT, {"candidate.first_pass": "0.88"},
     {"baseline.attempt": 0.0049975, "baseline.attempts": 1.1, "baseline.failed": 0.05, "baseline.cost_per_successful_task": 0.12549725,
      "baseline.total": 150596.70, "candidate.fixed": 7282.78, "candidate.cost_per_successful_task": 0.15011896, "delta.share": 0.1962}),
    ("W8 at 0.90", SUPPORT, {"candidate.first_pass": "0.90"},
     {"candidate.cost_per_successful_task": 0.12611896, "even.first_pass": 0.90052, "even.volume_tokens": 1336958, "delta.share": 0.0050}),
    ("W8 at 0.92", SUPPORT, {}, {"candidate.cost_per_successful_task": 0.10211896, "delta.share": -0.1863}),
    ("growth", growing(with_gpus(SUPPORT, PEAK.replace("SPEED", "25"), "candidate")), {"discount": "0.08"}, {}),
]


def run(file, out, settings):
    """A study in one form; 0, 3 and 4 are answers."""
    more = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run([os.environ["crossfade"], "tco", "run", file, "--draws", "1000", "-o", out, *more], capture_output=True, text=True)
    assert done.returncode in (0, 3, 4), done.stderr


def computed(path):
    """Every figure as the other engine computes it."""
    book = formualizer.load_workbook(str(path))
    book.evaluate_all()
    sheet = openpyxl.load_workbook(path)["Figures"]
    return {sheet.cell(row, 1).value: book.get_value("Figures", row, 3) for row in range(2, sheet.max_row + 1)}


def near(one, other, most=1e-9):
    return abs(one - other) <= most * max(1.0, abs(other))


def check(name, figures, facts, wrong):
    """Both engines' figures against each other."""
    cells = {cell["id"]: cell["value"] for cell in facts["cells"]}
    assert figures.keys() == cells.keys(), name
    n = 0
    for cell, value in cells.items():
        found = figures[cell]
        if value is None:
            same = not isinstance(found, (int, float))
        else:
            same = isinstance(found, (int, float)) and near(found, value)
            n += 1
        if not same:
            wrong.append(f"{name}: {cell} is {found} there and {value} here")
    return n


def by_hand(name, form, figures, known, wrong):
    """The worked answers, to the digits they are known to."""
    for cell, value in known.items():
        found = figures.get(cell)
        if not isinstance(found, (int, float)) or abs(found - value) > 0.5 * 10 ** -len(str(value).partition(".")[2]) + 1e-9:
            wrong.append(f"{name}: {cell} is {found} in the {form}, by hand {value}")
    return len(known)


def linted(name, facts, wrong):
    """Goal A-9: the same items at both sides, and no figure without source, day and id."""
    for cell in facts["cells"]:
        lacking = [key for key in ("provenance", "date", "evidence", "evidence_id", "unit", "label") if not cell[key]]
        if lacking or cell["provenance"] not in ("measured", "stated", "assumed", "derived"):
            wrong.append(f"{name}: {cell['id']} has no {', '.join(lacking)}")
    if len(facts["items"]) != 17:
        wrong.append(f"{name}: {len(facts['items'])} line items")
    for item in facts["items"]:
        for who in ("baseline", "candidate"):
            is_input = not next(cell for cell in facts["cells"] if cell["id"] == f"{who}.item.{item['item']}")["is_formula"]
            if item[who]["per_month"] == 0 and is_input and not item[who]["evidence"].startswith("0 because "):
                wrong.append(f"{name}: {who}.item.{item['item']} is 0 and does not say why")
    return len(facts["cells"])


def main():
    wrong, n, n_known, n_linted = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        for name, text, settings, known in STUDIES:
            file, book, facts = place / "tco.yaml", place / "tco.xlsx", place / "tco.json"
            file.write_text(text)
            run(file, book, settings)
            run(file, facts, settings)
            facts = json.loads(facts.read_text())
            cached = openpyxl.load_workbook(book, data_only=True)["Figures"]
            cached = {row[0].value: row[2].value for row in cached.iter_rows(min_row=2)}
            n += check(f"{name}, as written", {cell: value for cell, value in cached.items()}, facts, wrong)
            figures = computed(book)
            n += check(f"{name}, computed anew", figures, facts, wrong)
            run(file, place / "tco.csv", settings)
            rows = {row["id"]: float(row["value"]) for row in csv.DictReader((place / "tco.csv").open()) if row["value"]}
            cells = {cell["id"]: cell["value"] for cell in facts["cells"]}
            for form, found in (("workbook", figures), ("JSON", cells), ("CSV", rows)):
                n_known += by_hand(name, form, found, known, wrong)
            n_linted += linted(name, facts, wrong)
            if settings:
                # The worksheet as it is, changed within the workbook.
                run(file, book, {})
                changed = openpyxl.load_workbook(book)
                sheet = changed["Figures"]
                for row in range(2, sheet.max_row + 1):
                    if (value := settings.get(sheet.cell(row, 1).value)) is not None:
                        sheet.cell(row, 3).value = float(value)
                changed.save(place / "changed.xlsx")
                n += check(f"{name}, changed", computed(place / "changed.xlsx"), facts, wrong)
    print(f"workbooks: {n} figures of {len(STUDIES)} studies compared, {n_known} with what is known by hand, {n_linted} with source, day and id; {len(wrong)} are wrong")
    print("\n".join(wrong[:40]))
    sys.exit(bool(wrong) or n < 4000 or n_known < 100)


main()
