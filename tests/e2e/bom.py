#!/usr/bin/env python3
"""The bill of materials that `crossfade inventory --as bom` writes, against the schema of CycloneDX 1.6 and read by the library of its authors."""
import importlib.resources, json, pathlib, subprocess, sys, tempfile

import jsonschema_rs
from cyclonedx.model.bom import Bom

from parts.stack import crossfade_binary

FILES = {
    "app/llm.py": "from openai import OpenAI\nclient = OpenAI()\n",
    "app/use.py": "from app.llm import client\nclient.chat.completions.create(model='gpt-4', messages=[{'role': 'user', 'content': 'Hi {x}'}])\n",
    "web/a.ts": "import Anthropic from '@anthropic-ai/sdk';\nnew Anthropic().messages.create({ model: 'claude-2.1' });\n",
    "web/package.json": '{ "dependencies": { "@anthropic-ai/sdk": "^0.20.1", "openai": "^4.20.1" } }\n',
    "api/go.mod": "module x\nrequire github.com/openai/openai-go/v3 v3.1.0\n",
    "jvm/pom.xml": "<groupId>dev.langchain4j</groupId>\n<artifactId>langchain4j-open-ai</artifactId>\n<version>0.35.0</version>\n",
    "deploy/.env": "OPENAI_API_KEY=${KEY}\nAZURE_OPENAI_ENDPOINT=https://example.openai.azure.com\n",
    "CODEOWNERS": "/web/ @web\n",
}


def bill(directory, *more):
    command = [crossfade_binary(), "inventory", str(directory), "--no-cache", "--as", "bom", *more]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    schemas = importlib.resources.files("cyclonedx.schema") / "_res"
    read = lambda name: json.loads((schemas / name).read_text())
    validator = jsonschema_rs.validator_for(read("bom-1.6.SNAPSHOT.schema.json"), retriever=lambda uri: read(uri.rsplit("/", 1)[-1]), validate_formats=True)
    with tempfile.TemporaryDirectory() as directory:
        empty = pathlib.Path(directory, "empty")
        empty.mkdir()
        shop = pathlib.Path(directory, "shop")
        for path, text in FILES.items():
            (shop / path).parent.mkdir(parents=True, exist_ok=True)
            (shop / path).write_text(text)
        bills = {"a shop": bill(shop, "--confidence", "possible"), "nothing": bill(empty)}
    broken = json.loads(json.dumps(bills["a shop"]))
    broken["components"][0]["type"] = "model"
    assert not validator.is_valid(broken), "the schema lets everything pass"
    for name, own in bills.items():
        errors = [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(own)]
        if errors:
            sys.exit(f"the bill of {name} is not CycloneDX 1.6: {errors[:5]}")
        parsed = Bom.from_json(own)
        print(f"the bill of {name}: {len(parsed.components)} components, {len(parsed.services)} services, as the schema asks")
    kinds = {component["type"] for component in bills["a shop"]["components"]}
    urls = {component.get("purl") for component in bills["a shop"]["components"]}
    assert kinds == {"machine-learning-model", "library"}, kinds
    assert {"pkg:npm/openai@4.20.1", "pkg:npm/%40anthropic-ai/sdk@0.20.1", "pkg:golang/github.com/openai/openai-go@3.1.0"} <= urls, urls


if __name__ == "__main__":
    main()
