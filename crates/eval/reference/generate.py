#!/usr/bin/env python3
"""Cases for the metrics of the room eval, with what the field's reference implementations make of them.

    generate.py DIRECTORY [--cases N] [--seed S] [FAMILY...]

Writes FAMILY.jsonl for each family, one case a line. The same seed and number give the same files, byte for byte. Needs the packages
of requirements.txt, installed with --no-deps, and jsonschema's source distribution named by JSON_SCHEMA_SUITE; scripts/metrics does both.
"""

import argparse
import json
import pathlib
import random

import of_calls
import of_classes
import of_json
import of_rankings
import of_texts

FAMILIES = of_texts.FAMILIES | of_classes.FAMILIES | of_calls.FAMILIES | of_json.FAMILIES | of_rankings.FAMILIES


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("families", nargs="*", metavar="FAMILY", choices=[[], *FAMILIES])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    for family in args.families or FAMILIES:
        rng = random.Random(f"{family} {args.seed}")
        with open(args.directory / f"{family}.jsonl", "w", encoding="utf-8") as file:
            for case in FAMILIES[family](rng, args.cases):
                file.write(json.dumps(case, ensure_ascii=True, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
