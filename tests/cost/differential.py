"""Our metering against genai-prices: the same usages priced by both, compared to the nano-dollar.

Their data is written out in the format of their `data.json`, goes through our importer, is written as a sheet, read back and
used. Compared is every model both know, in five shapes of usage, now and, where a model's prices depend on it, at other times
and for other services. What is left out is printed with the reason. Exits 1 on any difference.

    meter=target/debug/examples/meter python tests/cost/differential.py
"""

import collections
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from decimal import ROUND_HALF_UP, Decimal, localcontext

from genai_prices import Usage, calc_price, types
from genai_prices.data import providers

NOW = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC)
MIN_MODELS = 200
HALF = Decimal("0.5e-9")

# Their names of what we count. What went in and out, and of that what was cached, written, thought or heard.
METERS = {
    "input_tokens": "input", "output_tokens": "output", "cache_read_tokens": "cached",
    "cache_write_tokens": "cache_write", "cache_write_1h_tokens": "cache_write_1h",
    "output_reasoning_tokens": "reasoning", "input_audio_tokens": "audio_input",
    "output_audio_tokens": "audio_output", "cache_audio_read_tokens": "cached_audio",
}
SHAPES = {
    "plain": {"input_tokens": 1_234, "output_tokens": 567},
    "cached": {"input_tokens": 20_011, "cache_read_tokens": 15_013, "output_tokens": 811},
    "written": {"input_tokens": 50_021, "cache_read_tokens": 20_023, "cache_write_tokens": 12_037,
                "cache_write_1h_tokens": 5_003, "output_tokens": 4_003, "output_reasoning_tokens": 2_503},
    "long": {"input_tokens": 300_007, "cache_read_tokens": 100_003, "output_tokens": 1_511},
    "heard": {"input_tokens": 3_001, "input_audio_tokens": 1_009, "cache_read_tokens": 503,
              "cache_audio_read_tokens": 211, "output_tokens": 907, "output_audio_tokens": 401},
}
# Models whose answers are not tokens.
INPUT_ONLY = {"input only": {"input_tokens": 8_191}}


def written(value):
    """Their objects as their JSON; decimals stay digits."""
    if isinstance(value, Decimal):
        return f"\0{value}"
    if isinstance(value, types.ModelPrice):
        return {key: written(price) for key, price in value.__dict__.items() if price is not None}
    if isinstance(value, types.UsageExtractor):
        return {"root": written(value.root), "api_flavor": value.api_flavor, "model_path": written(value.model_path),
                "mappings": written(value.mappings)}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        fields = {key: getattr(value, key) for key in value.__dataclass_fields__}
        return {key.rstrip("_"): written(field) for key, field in fields.items() if field is not None}
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    return value


def times_of(model):
    """Now, and where prices change: the day of each change, the day before, and other hours."""
    conditional = model.prices if isinstance(model.prices, list) else []
    constraints = [one.constraint for one in [*conditional, *(model.price_variants or [])] if one.constraint]
    times = {NOW}
    for constraint in constraints:
        if isinstance(constraint, types.StartDateConstraint):
            day = datetime.datetime.combine(constraint.start_date, datetime.time(12), datetime.UTC)
            midnight = day - datetime.timedelta(hours=12)
            times |= {day, midnight, midnight - datetime.timedelta(seconds=1)}
        else:
            for edge in (constraint.start_time, constraint.end_time):
                moment = datetime.datetime.combine(NOW.date(), edge)
                times |= {moment, moment - datetime.timedelta(minutes=1)}
    return sorted(times)


def services_of(model):
    """Kinds of service with prices of their own, as (our word, their context)."""
    known = ("processing", "service_tier", "speed")
    contexts = [variant.when for variant in model.price_variants or []]
    found = {(value, key) for when in contexts if len(when) == 1 for key, value in when.items() if key in known}
    return [("standard", None), *((value, {key: value}) for value, key in sorted(found) if value != "default")]


def cases():
    """Every model in every shape now; at other times and for other services in the two with the most in them."""
    for provider in providers:
        for model in provider.models:
            for at in times_of(model):
                for service, context in services_of(model):
                    is_base = at == NOW and service == "standard"
                    for name in [*SHAPES, *INPUT_ONLY] if is_base else ["written", "long"]:
                        yield provider, model, at, service, context, name, {**SHAPES, **INPUT_ONLY}[name]


def as_counted(provider, usage):
    """The usage as the vendor counts it: one whose chat answers count reasoning beside the output gets it beside."""
    mappings = [mapping for extractor in provider.extractors or [] if extractor.api_flavor == "chat"
                for mapping in extractor.mappings]
    if any(mapping.dest == "output_tokens" and "reasoning_tokens" in mapping.path for mapping in mappings):
        return {**usage, "output_tokens": usage.get("output_tokens", 0) - usage.get("output_reasoning_tokens", 0)}
    return usage


def theirs(provider, model, at, context, usage):
    """Their price, or why there is none."""
    try:
        found = calc_price(Usage(**usage), model_ref=model.id, provider_id=provider.id,
                           genai_request_timestamp=at, price_context=context)
        return found.total_price, None
    except (LookupError, ValueError) as error:
        # Counts differ from case to case; the kind of complaint does not.
        return None, re.sub(r"\([^)]*\)|\d+|'.*'", "…", str(error))


def ours(meter, data, all_cases):
    queries = (
        json.dumps({"vendor": provider.id, "model": model.id, "service": service, "at": int(at.timestamp()),
                    "usage": {METERS[key]: n for key, n in as_counted(provider, usage).items()}})
        for provider, model, at, service, _, _, usage in all_cases
    )
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(data)
        file.flush()
        run = subprocess.run([meter, "genai-prices", file.name], input="\n".join(queries) + "\n",
                             capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        sys.exit(f"meter failed: {run.stderr[-2000:]}")
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def main():
    meter = os.environ.get("meter", "target/debug/examples/meter")
    data = re.sub(r'"\\u0000([^"]+)"', r"\1", json.dumps(written(providers)))
    all_cases = list(cases())
    answers, account = ours(meter, data, all_cases)
    assert len(answers) == len(all_cases), "an answer for every query"

    shapes_of, differences = collections.defaultdict(set), []
    left_out, worst, n_compared = collections.Counter(), Decimal(0), 0
    for (provider, model, at, service, context, name, usage), answer in zip(all_cases, answers, strict=True):
        price, why = theirs(provider, model, at, context, usage)
        if price is None or "nanos" not in answer:
            side = "they: " + why if price is None else "we: " + answer["why"]
            left_out[re.sub(r"`[a-z_0-9]+`", "`…`", side)] += 1
            continue
        n_compared += 1
        difference = abs(Decimal(answer["nanos"]).scaleb(-9) - price)
        worst = max(worst, difference)
        with localcontext(prec=60):
            rounded = int(price.scaleb(9).quantize(Decimal(1), ROUND_HALF_UP))
        if difference > HALF or rounded != answer["nanos"]:
            differences.append((provider.id, model.id, at.isoformat(), service, name, str(price), answer))
        elif at == NOW and service == "standard":
            shapes_of[provider.id, model.id].add(name)

    models_left_out = collections.defaultdict(list)
    for line in account.splitlines():
        if line.startswith("left out "):
            owner, _, why = line.removeprefix("left out ").rpartition(": ")
            models_left_out[why].append(owner)
        elif line.startswith(("mapped", "harmless", "unsupported", "field unsupported")):
            print(line)
    for why, owners in models_left_out.items():
        print(f"left out {len(owners)} models: {why} ({', '.join(owners[:3])} …)")
    for why, n in left_out.most_common():
        print(f"left out {n} usages: {why}")
    n_whole = sum(shapes >= SHAPES.keys() for shapes in shapes_of.values())
    n_any = len(shapes_of)
    print(f"compared: {n_compared} usages of {n_any} models; {n_whole} models in all {len(SHAPES)} shapes")
    print(f"largest difference: {worst} dollars (rounding alone makes up to {HALF})")
    for difference in differences[:20]:
        print("DIFFERS", *difference)
    if differences or n_whole < MIN_MODELS:
        sys.exit(f"{len(differences)} differences; {n_whole} models in all shapes, at least {MIN_MODELS} are needed")


if __name__ == "__main__":
    main()
