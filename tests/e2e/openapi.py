#!/usr/bin/env python3
"""The document of the admin API against OpenAPI 3.1, read by the validator of PyPI `openapi-spec-validator`; and that this validator says no to a broken one."""
import json, sys

from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing.exceptions import Unresolvable

from parts.stack import ROOT


def problems(document):
    try:
        return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    except Unresolvable as error:
        return [f"a reference leads nowhere: {error.ref}"]


def main():
    text = (ROOT / "docs/reference/admin-api.openapi.json").read_text()
    found = problems(json.loads(text))
    if found:
        sys.exit("the document is not OpenAPI 3.1:\n" + "\n".join(found[:10]))
    for what, broken in {
        "a parameter that stands in no path": text.replace('"name": "provider"', '"name": "nobody"'),
        "a reference to nothing": text.replace("#/components/schemas/RolloutView", "#/components/schemas/Nothing"),
        "a role of a parameter that is none": text.replace('"in": "path"', '"in": "road"'),
    }.items():
        assert broken != text and problems(json.loads(broken)), f"the validator takes {what}"
    paths = json.loads(text)["paths"]
    print(f"the admin API: {len(paths)} paths, {sum(len(path) - 1 for path in paths.values())} operations, as OpenAPI 3.1 asks")


if __name__ == "__main__":
    main()
