"""What jsonschema says about random schemas and values and about the official test suite, and jsonpath-rfc9535 about random paths."""

import json
import os
import tarfile

import jsonpath_rfc9535
import jsonschema

NAMES = ["a", "b", "c", "é", "a b", "0", "~", "/"]


def value(rng, depth=0):
    kind = rng.random()
    if depth < 3 and kind < 0.35:
        return {name: value(rng, depth + 1) for name in sorted(rng.sample(NAMES, rng.randint(0, 4)))}
    if depth < 3 and kind < 0.55:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return rng.choice([None, True, False, 0, 1, 2, -1, 1.0, 0.5, 10, 3.7, "", "a", "ab", "abc", "é", "日本語", "👩\u200d👩", "2024-01-01", "x" * 5, 0.1 + 0.2, 1e300])


def schema(rng, depth=0):
    if depth > 2:
        return rng.choice([True, {}, {"type": rng.choice(["string", "integer", "number", "null", "boolean"])}, False if rng.random() < 0.2 else {}])
    inner = lambda: schema(rng, depth + 1)
    keywords = {
        "type": lambda: rng.choice(["object", "array", "string", "integer", "number", "boolean", "null", ["string", "null"], ["integer", "array"]]),
        "enum": lambda: [value(rng, 2) for _ in range(rng.randint(1, 4))],
        "const": lambda: value(rng, 2),
        "minimum": lambda: rng.choice([0, 1, 0.5]),
        "exclusiveMaximum": lambda: rng.choice([1, 2, 3.7]),
        "multipleOf": lambda: rng.choice([1, 2, 0.5]),
        "minLength": lambda: rng.randint(0, 3),
        "maxLength": lambda: rng.randint(0, 4),
        "pattern": lambda: rng.choice(["^a", "b$", "[a-c]+", "^.{2,3}$"]),
        "properties": lambda: {name: inner() for name in rng.sample(NAMES, rng.randint(1, 3))},
        "required": lambda: rng.sample(NAMES, rng.randint(0, 2)),
        "additionalProperties": lambda: rng.choice([False, True, inner()]),
        "patternProperties": lambda: {rng.choice(["^a", "b"]): inner()},
        "propertyNames": lambda: {"maxLength": rng.randint(1, 3)},
        "minProperties": lambda: rng.randint(0, 2),
        "maxProperties": lambda: rng.randint(0, 3),
        "dependentRequired": lambda: {"a": rng.sample(NAMES, 1)},
        "items": inner,
        "prefixItems": lambda: [inner() for _ in range(rng.randint(1, 2))],
        "contains": inner,
        "minItems": lambda: rng.randint(0, 2),
        "maxItems": lambda: rng.randint(0, 3),
        "uniqueItems": lambda: True,
        "allOf": lambda: [inner() for _ in range(rng.randint(1, 2))],
        "anyOf": lambda: [inner() for _ in range(rng.randint(1, 3))],
        "oneOf": lambda: [inner() for _ in range(rng.randint(1, 2))],
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "unevaluatedProperties": lambda: False,
        "format": lambda: "date",
    }
    found = {}
    for name in rng.sample(list(keywords), rng.choice([1, 1, 2, 3])):
        found[name] = keywords[name]()
    if depth == 0 and rng.random() < 0.2:
        found["$defs"] = {"x": inner()}
        found.setdefault("properties", {})["a"] = {"$ref": "#/$defs/x"}
    return found


def schemas(rng, n):
    for _ in range(n):
        one = schema(rng)
        validator = jsonschema.Draft202012Validator(one)
        instance = value(rng)
        yield {"schema": one, "instance": instance, "expected": validator.is_valid(instance)}


REFERS = ['"$id"', '"$dynamicRef"', '"$ref": "http', '"$schema": "http://localhost']


def suite(_rng, n):
    """The official suite for draft 2020-12 as jsonschema's source distribution carries it, the file JSON_SCHEMA_SUITE; the optional tests
    are left out. All of it, or when few cases are asked for every sixth test and those whose schema has names or refers elsewhere."""
    found = []
    with tarfile.open(os.environ["JSON_SCHEMA_SUITE"]) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            folder, _, name = member.name.rpartition("/")
            if folder.endswith("json/tests/draft2020-12") and name.endswith(".json"):
                for group in json.load(archive.extractfile(member)):
                    for test in group["tests"]:
                        what = f"{name}: {group['description']}: {test['description']}"
                        found.append({"what": what, "schema": group["schema"], "instance": test["data"], "expected": test["valid"]})
    refers = lambda test: any(word in json.dumps(test["schema"]) for word in REFERS)
    yield from (test for idx, test in enumerate(found) if n >= 1000 or idx % 6 == 0 or refers(test))


def documents(_rng, _n):
    """What the suite's schemas refer to, by the addresses of the server that it asks for. Nobody needs to serve them."""
    with tarfile.open(os.environ["JSON_SCHEMA_SUITE"]) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            _, is_remote, path = member.name.partition("/json/remotes/")
            if is_remote and path.endswith(".json") and (path.startswith("draft2020-12/") or not path.startswith("draft")):
                yield {"uri": f"http://localhost:1234/{path}", "schema": json.load(archive.extractfile(member))}


def segment(rng):
    name = rng.choice(NAMES)
    quoted = rng.choice([json.dumps(name), json.dumps(name, ensure_ascii=False), "'" + name + "'"])
    number = lambda: str(rng.choice([0, 1, 2, -1, -2, 5, -9]))
    piece = lambda: rng.choice(["", number()])
    selector = lambda: rng.choice([quoted, number(), "*", f"{piece()}:{piece()}", f"{piece()}:{piece()}:{piece()}", f" {number()} "])
    kind = rng.random()
    if kind < 0.3:
        return rng.choice([".", ".", ".."]) + rng.choice(["a", "b", "c", "é", "*", "_x"])
    inside = ",".join(selector() for _ in range(rng.choice([1, 1, 1, 2, 3])))
    text = rng.choice(["", "", "", "..", " "]) + f"[{inside}]"
    if rng.random() < 0.08:  # Something that is likely to be no path.
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice([" ", ".", "[", "]", "0", "-", "'", "\\", "\\ud800", "\t", "-0", "01"]) + text[at:]
    return text


def paths(rng, n):
    for _ in range(n):
        text = "$" + "".join(segment(rng) for _ in range(rng.randint(0, 3)))
        document = value(rng)
        try:
            found = jsonpath_rfc9535.find(text, document).values()
        except (jsonpath_rfc9535.JSONPathError, ValueError):
            found = None
        yield {"path": text, "document": document, "expected": found}


def leaves(value, pointer=()):
    """The scalars and empty containers of a value, by where they stand."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for name, one in inner for leaf in leaves(one, (*pointer, str(name)))]
    return found or [(pointer, value)]


def same(one, other, tolerance):
    is_number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number(one) and is_number(other):
        return one == other or abs(one - other) <= tolerance * max(abs(one), abs(other))
    return type(one) is type(other) and one == other


def fields(rng, n):
    """Fields of references that a value has right: drawn values, changed a little, with one reference or several. A reference by the definition's words."""
    for _ in range(n):
        references = [value(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        said = value(rng) if rng.random() < 0.2 else changed(rng, rng.choice(references))
        tolerance = rng.choice([0.0, 0.0, 0.01, 0.5])
        ignored = rng.choice([None, None, "a", "b", "0"])
        there = dict(leaves(said))
        shares = []
        for reference in references:
            asked = [(pointer, one) for pointer, one in leaves(reference) if not (pointer and pointer[0] == ignored)]
            right = [pointer for pointer, one in asked if pointer in there and same(there[pointer], one, tolerance)]
            if asked:
                shares.append(len(right) / len(asked))
        ignore = [] if ignored is None else ["/" + ignored]
        yield {"references": references, "said": said, "tolerance": tolerance, "ignore": ignore, "expected": max(shares, default=None)}


def changed(rng, one):
    if rng.random() < 0.1:
        return value(rng, 2)
    if isinstance(one, dict):
        kept = {name: changed(rng, member) for name, member in one.items() if rng.random() > 0.1}
        return kept | ({rng.choice(NAMES): value(rng, 2)} if rng.random() < 0.1 else {})
    if isinstance(one, list):
        return [changed(rng, member) for member in one if rng.random() > 0.1]
    if isinstance(one, (int, float)) and not isinstance(one, bool) and rng.random() < 0.2:
        return one * rng.choice([1.005, 1.3, 2.0])
    return one


FAMILIES = {"fields": fields, "schemas": schemas, "paths": paths, "suite": suite, "documents": documents}
