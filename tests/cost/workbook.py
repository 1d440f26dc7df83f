"""The workbooks of `crossfade tco` computed anew by another engine: every figure of every workbook, to 1e-9, and again after an input was
changed. The worked answers are those of docs/reference/tco.md's formulas, computed by hand.

    crossfade=target/debug/crossfade python tests/cost/workbook.py
"""

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


# Name, worksheet, what `--set` changes, and figures known by hand.
STUDIES = [
    ("W7 and W8", SUPPORT, {"candidate.first_pass": "0.88"},
     {"baseline.attempt": 0.0049975, "baseline.cost_per_successful_task": 0.12549725, "baseline.total": 150596.70,
      "candidate.cost_per_successful_task": 0.15011896}),
    ("W8 at 0.90", SUPPORT, {"candidate.first_pass": "0.90"},
     {"candidate.cost_per_successful_task": 0.12611896, "even.first_pass": 0.90052}),
    ("W8 at 0.92", SUPPORT, {}, {"candidate.cost_per_successful_task": 0.10211896}),
    ("W1", with_gpus(with_gpus(SUPPORT, PEAK.replace("SPEED", "40"), "baseline"), PEAK.replace("SPEED", "25"), "candidate"), {},
     {"baseline.gpus.count": 31, "candidate.gpus.count": 49,
      "baseline.item.gpu": 45625, "baseline.item.autoscaling_headroom": 9125, "baseline.item.redundancy": 1825}),
    ("W6", with_gpus(SUPPORT, SERVER.replace("INTEREST", '{ none: "straight line" }'), "candidate"), {},
     {"candidate.gpus.server_month": 6250, "candidate.gpus.server_power": 1042.44, "candidate.gpus.per_hour": 2.0812}),
    ("W6 with interest", with_gpus(SUPPORT, SERVER.replace("INTEREST", "0.10"), "candidate"), {}, {"candidate.gpus.server_month": 7885.12}),
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


def main():
    wrong, n = [], 0
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
            for cell, value in known.items():
                if abs(figures[cell] - value) > 0.5 * 10 ** -len(str(value).partition(".")[2]) + 1e-9:
                    wrong.append(f"{name}: {cell} is {figures[cell]}, by hand {value}")
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
    print(f"workbooks: {n} figures of {len(STUDIES)} studies compared, {len(wrong)} differ")
    print("\n".join(wrong[:40]))
    sys.exit(bool(wrong) or n < 1000)


main()
