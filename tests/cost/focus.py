"""The FOCUS rows of `crossfade tco` held against the FinOps Foundation's own validator, version 1.0. Needs `focus_validator` with
`multimethod` below 2, which the test suites' Python does not have (it brings pandas and pyarrow): skipped, and said so, where it is missing.

    crossfade=target/debug/crossfade python tests/cost/focus.py
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    found = importlib.util.find_spec("focus_validator")
    if found is None:
        print("FOCUS ROWS NOT VALIDATED: focus_validator is not installed")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        rows = pathlib.Path(directory) / "focus.csv"
        sheet = ROOT / "crates/crossfade/src/config/worksheet/right.yaml"
        done = subprocess.run([os.environ["crossfade"], "tco", "run", sheet, "--draws", "1000", "--as", "focus", "-o", rows], capture_output=True, text=True)
        assert done.returncode == 4, done.stderr
        # The validator looks for its list of currencies below the working directory.
        place = pathlib.Path(found.submodule_search_locations[0]).parent
        words = [sys.executable, "-c", "from focus_validator.main import main; main()", "--data-file", rows, "--validate-version", "1.0"]
        checked = subprocess.run(words, cwd=place, capture_output=True, text=True)
        print(f"FOCUS: {sum(1 for _ in rows.open()) - 1} rows\n{checked.stdout}{checked.stderr}")
        return int(checked.returncode != 0 or "failed" in checked.stdout)


sys.exit(main())
