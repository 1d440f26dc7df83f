"""The shipped price sheet against another source: every price of every row, by every name that is no pattern.

    meter=target/debug/examples/meter python tests/cost/shipped.py [FORMAT FILE]

Without arguments the other source is genai-prices, which most rows were taken from: a difference is a mistake in copying or a newer
price. With FORMAT and FILE it is a file of one of the formats that `crossfade prices import` reads: LiteLLM's, say, which is independent. Each
difference is printed; against genai-prices any makes the exit code 1, against others it is a person who has to find out who is right.
"""

import collections
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from differential import NOW, providers, written

SHEET = pathlib.Path(__file__).parents[2] / "crates" / "cost" / "prices.json"
MILLION = 1_000_000
# What one price is seen by alone: cached and written tokens are part of the input.
ALONE = {"input": {"input": MILLION // 10}, "output": {"output": MILLION // 10}, "cached": {"input": MILLION // 10, "cached": MILLION // 10},
         "cache_write": {"input": MILLION // 10, "cache_write": MILLION // 10},
         "cache_write_1h": {"input": MILLION // 10, "cache_write": MILLION // 10, "cache_write_1h": MILLION // 10},
         "audio_input": {"input": MILLION // 10, "audio_input": MILLION // 10},
         "cached_audio": {"input": MILLION // 10, "cached": MILLION // 10, "audio_input": MILLION // 10, "cached_audio": MILLION // 10},
         "request": {}}
LONG = {"input, long": {"input": MILLION}, "output, long": {"input": MILLION, "output": MILLION // 10}}


def noon(day):
    return int(datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(12), datetime.UTC).timestamp())


def times_of(row):
    """Now when the row holds now, else a day on which it holds; for hours, a Wednesday's every two."""
    first, end = row.get("from"), row.get("to")
    at = int(NOW.timestamp())
    if end and noon(end) <= at:
        at = noon(end) - 86_400
    if first and noon(first) > at:
        at = noon(first)
    return [at - at % 86_400 + hour * 3600 for hour in range(0, 24, 2)] if "hours" in row else [at]


def queries():
    """(vendor, model, place, query) for every price of every row."""
    for model in json.loads(SHEET.read_text())["models"]:
        names = model.get("names", [model["id"]])
        plain = [name for name in names if isinstance(name, str) and not re.search(r"[*#]", name)] if isinstance(names, list) else []
        for name in plain or [model["id"]]:
            for number, row in enumerate(model["prices"]):
                shapes = {rate: ALONE[rate] for rate in row["rates"] if rate in ALONE} | (LONG if "tiers" in row else {})
                for rate, usage in shapes.items():
                    for at in times_of(row):
                        query = {"vendor": model["vendor"], "model": name, "at": at, "usage": usage, "service": row.get("service", "standard")}
                        yield model["vendor"], model["id"], (number, rate), query


def priced(meter, form, file, asked):
    text = "".join(json.dumps(query) + "\n" for *_, query in asked)
    run = subprocess.run([meter, form, file], input=text, capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        sys.exit(f"meter failed: {run.stderr[-2000:]}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def main(form, file):
    meter, asked = os.environ.get("meter", "target/debug/examples/meter"), list(queries())
    ours, theirs = priced(meter, "sheet", SHEET, asked), priced(meter, form, file, asked)
    rows, unknown, differences = set(), collections.defaultdict(set), {}
    for (vendor, model, (number, rate), query), our, their in zip(asked, ours, theirs, strict=True):
        if "nanos" not in our:
            sys.exit(f"the shipped sheet does not price {query}: {our}")
        if "nanos" not in their:
            unknown[vendor].add(model)
        else:
            rows.add((vendor, model, number))
            if our["nanos"] != their["nanos"]:
                when = "now" if query["at"] <= NOW.timestamp() + 86_400 else datetime.datetime.fromtimestamp(query["at"], datetime.UTC).date()
                differences.setdefault((vendor, model, query["service"], rate, when), (our["nanos"] / 1e9, their["nanos"] / 1e9))
    all_rows = {(vendor, model, number) for vendor, model, (number, _), _ in asked}
    for (vendor, model, service, rate, when), (our, their) in differences.items():
        print(f"shipped: DIFFERS: {vendor} {model}, {service}, {when}, {rate}: {our:g} here, {their:g} dollars there")
    for vendor, models in sorted(unknown.items()):
        print(f"shipped: {form} has not every price of {vendor}: {', '.join(sorted(models))}")
    models = {(vendor, model) for vendor, model, _ in rows}
    print(f"shipped: against {form}: {len(rows)} of {len(all_rows)} rows compared, of {len(models)} models; {len(differences)} prices differ")
    return len(differences)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(*sys.argv[1:])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as data:
            data.write(re.sub(r'"\\u0000([^"]+)"', r"\1", json.dumps(written(providers))))
            data.flush()
            sys.exit(1 if main("genai-prices", data.name) else 0)
