"""What BFCL's checker says about random calls, and about the leaderboard's own cases with their right answers changed.

The checker is the file of the package; what it imports besides (a table of models, converters for other languages) is stood in for, so
that the package's dependencies are not needed.
"""

import copy
import importlib.util
import json
import pathlib
import sys
import types

PACKAGE = pathlib.Path(importlib.util.find_spec("bfcl_eval").origin).parent
DATA = ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")


def checker():
    def stand_in(name, **members):
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module

    models = {name: types.SimpleNamespace(underscore_to_dot=dotless) for name, dotless in (("plain", False), ("dotless", True))}
    stand_in("bfcl_eval.constants.model_config", MODEL_CONFIG_MAPPING=models)
    base = "bfcl_eval.eval_checker.ast_eval.type_convertor"
    stand_in(f"{base}.java_type_converter", java_type_converter=None)
    stand_in(f"{base}.js_type_converter", js_type_converter=None)
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    def check(tools, calls, expected, dotless):
        category = "parallel" if len(expected) > 1 else "multiple"
        return ast_checker(tools, calls, expected, Language.PYTHON, category, "dotless" if dotless else "plain")["valid"]

    return check


def published():
    """The leaderboard's own cases."""
    cases = []
    for name in DATA:
        lines = lambda path: [json.loads(line) for line in path.read_text().splitlines() if line]
        answers = {row["id"]: row["ground_truth"] for row in lines(PACKAGE / f"data/possible_answer/BFCL_v4_{name}.json")}
        cases += [(row["function"], answers[row["id"]]) for row in lines(PACKAGE / f"data/BFCL_v4_{name}.json")]
    return cases


TEXTS = ["", "Paris", "paris, France", "Paris France", "new-york", "New York", "x_y", "it's", 'it"s', "3", "ß", "SS", "日本", "İ", "April 1, 2024", "a.b", "ab", "*^", "True"]
NUMBERS = [0, 1, -1, 2, 3, 1.0, 0.5, 2.0, 1e3, 2**53, 2**53 + 1, 9007199254740992.0, -0.5, True, False]
TYPES = ["string", "integer", "float", "boolean", "array", "tuple", "dict", "any"]


def value(rng, kind, depth=0):
    if rng.random() < 0.05:
        kind = rng.choice(TYPES)
    if kind in ("string", "any"):
        return rng.choice(TEXTS)
    if kind == "integer":
        return rng.choice([0, 1, 2, 3, -1, 7, 2**53, 2**53 + 1])
    if kind == "float":
        return rng.choice(NUMBERS[:13])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "dict":
        return {key: value(rng, rng.choice(TYPES[:4]), depth + 1) for key in rng.sample("abc", rng.randint(0, 3))}
    if depth > 1:
        return []
    inner = rng.choice(TYPES[:4])
    return [value(rng, inner, depth + 1) for _ in range(rng.randint(0, 3))]


def tool(rng, name):
    properties = {}
    for key in rng.sample("pqrst", rng.randint(0, 4)):
        kind = rng.choice(TYPES)
        properties[key] = {"type": kind}
        if kind in ("array", "tuple"):
            properties[key]["items"] = {"type": rng.choice(["string", "integer", "float", "dict", "boolean", "array"])}
    required = [key for key in properties if rng.random() < 0.5]
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": required}}


def of_schema(rng, schema):
    if schema["type"] in ("array", "tuple"):
        return [value(rng, schema["items"]["type"], 1) for _ in range(rng.randint(0, 3))]
    return value(rng, schema["type"])


def accepted(rng, schema):
    values = [of_schema(rng, schema) for _ in range(rng.randint(1, 3))]
    kind = schema["type"]
    wrap = lambda one: {key: [inner] + ([""] if rng.random() < 0.3 else []) for key, inner in one.items()} if isinstance(one, dict) else one
    if kind == "dict":
        values = [wrap(one) for one in values]
    elif kind in ("array", "tuple") and schema["items"]["type"] == "dict":
        values = [[wrap(inner) for inner in one] if isinstance(one, list) else one for one in values]
    if rng.random() < 0.3:
        values.insert(rng.randrange(len(values) + 1), "")
    return values


def drawn(rng):
    tools = [tool(rng, name) for name in rng.sample(["f", "g.h", "g_h", "Search", "f2"], rng.randint(1, 3))]
    expected = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        one = rng.choice(tools)
        keys = [key for key in one["parameters"]["properties"] if key in one["parameters"]["required"] or rng.random() < 0.8]
        expected.append({one["name"]: {key: accepted(rng, one["parameters"]["properties"][key]) for key in keys}})
    return tools, expected


def unwrapped(rng, one):
    """A value that an accepted one stands for."""
    if isinstance(one, dict):
        return {key: unwrapped(rng, rng.choice(inner)) for key, inner in one.items() if isinstance(inner, list) and inner and "" not in inner}
    if isinstance(one, list):
        return [unwrapped(rng, inner) for inner in one]
    return copy.deepcopy(one)


def right(rng, expected, dotless):
    calls = []
    for one in expected:
        ((name, arguments),) = one.items()
        made = {key: unwrapped(rng, rng.choice(values)) for key, values in arguments.items() if values and not ("" in values and rng.random() < 0.4)}
        calls.append({name.replace(".", "_") if dotless else name: made})
    if rng.random() < 0.5:
        rng.shuffle(calls)
    return calls


def changed(rng, calls, tools):
    for _ in range(rng.choice([0, 1, 1, 2])):
        if not calls or rng.random() < 0.1:
            extra = rng.choice(tools)["name"]
            calls.insert(0, {extra: {}}) if rng.random() < 0.5 or not calls else calls.pop()
            continue
        call = rng.choice(calls)
        ((name, arguments),) = call.items()
        edit, key = rng.random(), rng.choice(list(arguments)) if arguments else None
        if edit < 0.12:
            call[rng.choice(tools)["name"]] = call.pop(name)
        elif edit < 0.24 or key is None:
            arguments[rng.choice("pqrstz")] = value(rng, rng.choice(TYPES))
        elif edit < 0.36:
            del arguments[key]
        elif edit < 0.6 and isinstance(arguments[key], str):
            text = arguments[key]
            arguments[key] = rng.choice([text.upper(), text.replace(" ", "-"), text + ".", text[1:], "'" + text, text + "x"])
        elif edit < 0.7 and isinstance(arguments[key], (int, float)):
            arguments[key] = rng.choice([arguments[key] + 1, float(arguments[key]), bool(arguments[key]), str(arguments[key])])
        elif edit < 0.8 and isinstance(arguments[key], list):
            arguments[key] = rng.choice([arguments[key][::-1], arguments[key] + arguments[key][:1], arguments[key][1:], arguments[key] + [None]])
        else:
            arguments[key] = value(rng, rng.choice(TYPES))
    return calls


def calls(rng, n):
    """As many cases as asked for: what the checker itself stumbles over (it raises) is drawn again."""
    check, own = checker(), published()
    n_made = 0
    while n_made < n:
        is_own = rng.random() < 0.5
        tools, expected = rng.choice(own) if is_own else drawn(rng)
        dotless = rng.random() < 0.5
        tools = [{"name": one["name"], "parameters": one["parameters"]} for one in tools]
        made = changed(rng, right(rng, expected, dotless), tools)
        if any(len(call) != 1 for call in made):
            continue
        try:
            valid = check(copy.deepcopy(tools), copy.deepcopy(made), copy.deepcopy(expected), dotless)
        except Exception:
            continue
        n_made += 1
        if is_own:  # The words for people are half of the file.
            tools = [strip(one) for one in tools]
        yield {"tools": tools, "calls": made, "accepted": expected, "dotless": dotless, "expected": valid}


def strip(schema):
    if isinstance(schema, dict):
        return {key: strip(inner) for key, inner in schema.items() if not (key in ("description", "default", "enum") and not isinstance(inner, dict))}
    return [strip(inner) for inner in schema] if isinstance(schema, list) else schema


FAMILIES = {"calls": calls}
