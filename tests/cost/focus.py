"""The FOCUS rows of `crossfade tco` held against the FinOps Foundation's own validator, version 1.0, and the same rows spoilt, which it has to see.
Runs in the Python that tests/requirements-focus.txt makes (`scripts/test-cost`).

    crossfade=target/debug/crossfade python tests/cost/focus.py
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def validated(rows, place):
    """Whether every check of the validator passed, and what it said."""
    words = [sys.executable, "-c", "from focus_validator.main import main; main()", "--data-file", rows, "--validate-version", "1.0"]
    checked = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=300)
    said = checked.stdout + checked.stderr
    return checked.returncode == 0 and "Validation succeeded" in said and "failed" not in said, said


def main():
    found = importlib.util.find_spec("focus_validator")
    with tempfile.TemporaryDirectory() as directory:
        rows, spoilt = pathlib.Path(directory) / "focus.csv", pathlib.Path(directory) / "spoilt.csv"
        sheet = ROOT / "crates/crossfade/src/config/worksheet/right.yaml"
        done = subprocess.run([os.environ["crossfade"], "tco", "run", sheet, "--draws", "1000", "--as", "focus", "-o", rows], capture_output=True, text=True)
        assert done.returncode == 4, done.stderr
        # The validator looks for its list of currencies below the working directory.
        place = pathlib.Path(found.submodule_search_locations[0]).parent
        n = sum(1 for _ in rows.open()) - 1
        is_valid, said = validated(rows, place)
        print(f"FOCUS 1.0: {n} rows, {'0 failures' if is_valid else said}")
        spoilt.write_text(rows.read_text().replace("USD", "dollars"))
        is_seen = not validated(spoilt, place)[0]
        print(f"FOCUS 1.0, with a currency that is none: {'refused' if is_seen else 'NOT SEEN'}")
        return int(not (is_valid and is_seen and n >= 5))


sys.exit(main())
