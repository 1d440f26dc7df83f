"""A scripted vendor on a real socket: every endpoint that the official SDKs call, in the shape its published description says.

`python -m parts.vendor --port 0 --log FILE` prints its port. OpenAI's paths are below `/v1`, Azure's below `/openai`,
Anthropic's at `/v1/messages`. A model is at one of them only: `claude…` at Anthropic's, `gpt-4o` at Azure's; and one whose name begins with `chat-only`
has nothing but chat completions, as many inference servers do, and asks for no key. The suites' routes are names of models too (`vendor`,
`azure`, `anthropic`), so that a suite can ask the vendor itself. `fail=STATUS` in the text of a request makes it fail with that status. `quirk-…` are servers that get one thing wrong (`parts/quirks.py`).

The log has one JSON line per answer: method, path, headers, request (JSON, or a form's fields with the lengths of its files), status
and answer (JSON, the data of a stream's events, or a length): what `parts/oracle.py` holds against the published descriptions.
"""
import argparse, asyncio, base64, json, re, struct, sys

from parts import quirks
from parts.failure import Failure
from parts.upstream import Answer

NOW, WORDS = 1_700_000_000, ["Your ", "order ", "is ", "on ", "its ", "way."]
TEXT = "".join(WORDS)
CALL = {"name": "get_order", "arguments": '{"order":"A-17"}'}
OBJECT = '{"category":"refund","urgent":true}'
SOUND = b"RIFF" + bytes(range(256)) * 8
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
EXPIRES = NOW + 3600


def usage(details=True):
    more = {"prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
    return {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15, **(more if details else {})}


def pieces(text):
    return WORDS if text == TEXT else [text[:9], text[9:]]


def embedding(n_dimensions=4):
    return [round(0.1 * (n + 1), 6) for n in range(n_dimensions)]


class Request:
    """What came: `json` of a JSON body, `form` of a form as {name: bytes}."""

    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")
        kind = headers.get("content-type", "")
        self.json = json.loads(body) if body and "json" in kind else {}
        self.form, self.files = read_form(kind, body) if kind.startswith("multipart/") else ({}, set())
        self.model = self.json.get("model") or self.form.get("model", b"").decode()
        self.quirk = self.model.removeprefix("quirk-") if self.model.startswith("quirk-") else None
        self.azure = self.path.startswith("/openai/deployments/")
        self.deployment = self.path.split("/")[3] if self.azure else None
        self.streamed = self.json.get("stream") is True or self.form.get("stream") == b"true" or self.json.get("stream_format") == "sse"

    def said(self):
        """What came, for the log; of a file in a form its length, of text the text."""
        if self.form:
            return {"form": {name: len(value) if name in self.files else value.decode() for name, value in self.form.items()}}
        return self.json or None


def read_form(kind, body):
    """The parts by name, and which of them are files."""
    boundary = re.search(r'boundary="?([^";]+)', kind)[1].encode()
    form, files = {}, set()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part[2:].partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)[1].decode()
        form[name] = content[:-2]
        if b"filename" in head:
            files.add(name)
    return form, files


# Chat completions

def wants_tools(body):
    return bool(body.get("tools") or body.get("functions")) and body.get("tool_choice", "auto") != "none"


def said(body):
    """The message and the finish reason for a chat request."""
    kind = (body.get("response_format") or {}).get("type")
    message = {"role": "assistant", "content": OBJECT if kind in ("json_schema", "json_object") else TEXT, "refusal": None}
    if body.get("tools") and wants_tools(body) and not any(turn["role"] == "tool" for turn in body["messages"]):
        calls = [{"id": f"call_{n}", "type": "function", "function": CALL} for n in range(2 if body.get("parallel_tool_calls", True) else 1)]
        return {**message, "content": None, "tool_calls": calls}, "tool_calls"
    if body.get("functions"):
        return {**message, "content": None, "function_call": CALL}, "function_call"
    if "audio" in (body.get("modalities") or []):
        return {**message, "content": None, "audio": {"id": "audio_1", "expires_at": EXPIRES, "data": base64.b64encode(SOUND).decode(), "transcript": TEXT}}, "stop"
    return message, "stop"


def logprobs(body, text):
    if not body.get("logprobs"):
        return None
    top = [{"token": text, "logprob": -0.25, "bytes": list(text.encode())}] * min(1, body.get("top_logprobs", 0))
    return {"content": [{"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": top}], "refusal": None}


def chat(request):
    body, (message, finish) = request.json, said(request.json)
    head = {"id": "chatcmpl-1", "created": NOW, "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_1", **({} if request.azure else {"service_tier": "default"})}
    n = body.get("n") or 1
    if not request.streamed:
        beside = {} if request.azure else {"annotations": []}
        choices = [{"index": idx, "message": {**beside, **message}, "logprobs": logprobs(body, TEXT), "finish_reason": finish} for idx in range(n)]
        return {**head, "object": "chat.completion", "choices": choices, "usage": usage()}
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    obfuscated = {"obfuscation": "x7"} if not request.azure and (body.get("stream_options") or {}).get("include_obfuscation", True) else {}

    def chunk(choices, **more):
        return {**head, "object": "chat.completion.chunk", "choices": choices, **({"usage": None} if with_usage else {}), **obfuscated, **more}

    def deltas():
        yield {"role": "assistant", "content": message["content"] and "", "refusal": None}
        for idx, call in enumerate(message.get("tool_calls", [])):
            yield {"tool_calls": [{**call, "index": idx, "function": {"name": call["function"]["name"], "arguments": ""}}]}
            for piece in ('{"order"', ':"A-17"}'):
                yield {"tool_calls": [{"index": idx, "function": {"arguments": piece}}]}
        if "function_call" in message:
            yield {"function_call": {"name": CALL["name"], "arguments": ""}}
            yield {"function_call": {"arguments": CALL["arguments"]}}
        if message["content"]:
            for word in pieces(message["content"]):
                yield {"content": word}

    events = [chunk([{"index": idx, "delta": delta, "logprobs": logprobs(body, delta.get("content") or ""), "finish_reason": None}])
              for delta in deltas() for idx in range(n)]
    events += [chunk([{"index": idx, "delta": {}, "logprobs": None, "finish_reason": finish}]) for idx in range(n)]
    if with_usage:
        events.append(chunk([], usage=usage()))
    return Stream([*events, "[DONE]"])


def completion(request):
    prompts = request.json.get("prompt", "")
    n = (len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1) * (request.json.get("n") or 1)
    head = {"id": "cmpl-1", "object": "text_completion", "created": NOW, "model": "gpt-3.5-turbo-instruct"}

    def choice(idx, text, finish):
        return {"index": idx, "text": text, "logprobs": None, "finish_reason": finish}

    if not request.streamed:
        return {**head, "choices": [choice(idx, TEXT, "stop") for idx in range(n)], "usage": usage(details=False)}
    events = [{**head, "choices": [choice(idx, word, None)]} for word in WORDS for idx in range(n)]
    events += [{**head, "choices": [choice(idx, "", "stop")]} for idx in range(n)]
    if (request.json.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": usage(details=False)})
    return Stream([*events, "[DONE]"])


class Stream:
    """Events; one that is a pair has a name."""

    def __init__(self, events):
        self.events = events


class Bytes:
    def __init__(self, body, kind):
        self.body, self.kind = body, kind


# Embeddings, moderations, pictures, sound

def embeddings(request):
    inputs = request.json["input"] if isinstance(request.json["input"], list) else [request.json["input"]]
    if inputs and isinstance(inputs[0], int):
        inputs = [inputs]
    vector = embedding(request.json.get("dimensions", 4))
    if request.json.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    data = [{"object": "embedding", "index": idx, "embedding": vector} for idx in range(len(inputs))]
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": {"prompt_tokens": 4, "total_tokens": 4}}


CATEGORIES = ["harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/intent",
              "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic"]


def moderation(request):
    result = {"flagged": False, "categories": dict.fromkeys(CATEGORIES, False), "category_scores": dict.fromkeys(CATEGORIES, 0.001),
              "category_applied_input_types": {name: ["text"] for name in CATEGORIES}}
    n = len(request.json["input"]) if isinstance(request.json["input"], list) else 1
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result] * n}


def image(request):
    counted = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105, "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}}
    shape = {} if request.azure else {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    if not request.streamed:
        return {"created": NOW, "data": [{"b64_json": PIXEL}], "usage": counted, **shape}
    name = "image_edit" if "edits" in request.path else "image_generation"
    partial = {"type": f"{name}.partial_image", "b64_json": PIXEL, "created_at": NOW, "partial_image_index": 0, **shape}
    return Stream([(f"{name}.partial_image", partial),
                   (f"{name}.completed", {"type": f"{name}.completed", "b64_json": PIXEL, "created_at": NOW, "usage": counted, **shape})])


def speech(request):
    if request.streamed:
        return Stream([("speech.audio.delta", {"type": "speech.audio.delta", "audio": base64.b64encode(SOUND).decode()}),
                       ("speech.audio.done", {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 9, "total_tokens": 13}})])
    return Bytes(SOUND, "audio/mpeg")


def transcription(request):
    form = request.form.get("response_format", b"json").decode()
    if form in ("text", "srt", "vtt"):
        return Bytes(TEXT.encode(), "text/plain; charset=utf-8")
    counted = {"type": "tokens", "input_tokens": 14, "output_tokens": 6, "total_tokens": 20, "input_token_details": {"text_tokens": 0, "audio_tokens": 14}}
    if request.streamed:
        return Stream([*({"type": "transcript.text.delta", "delta": word} for word in WORDS), {"type": "transcript.text.done", "text": TEXT, "usage": counted}])
    if form == "verbose_json":
        return {"language": "english", "duration": 1.5, "text": TEXT, "usage": {"type": "duration", "seconds": 2}}
    return {"text": TEXT, **({"usage": counted} if "transcriptions" in request.path and not request.azure else {})}


# What is kept

def file(id="file-1", purpose="batch", name="in.jsonl", n_bytes=3):
    return {"id": id, "object": "file", "bytes": n_bytes, "created_at": NOW, "filename": name, "purpose": purpose, "status": "processed"}


def page(*data):
    return {"object": "list", "data": list(data), "first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}


def batch(status="validating"):
    return {"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1", "completion_window": "24h",
            "status": status, "created_at": NOW, "request_counts": {"total": 0, "completed": 0, "failed": 0}}


def upload(status="pending", **more):
    return {"id": "upload_1", "object": "upload", "bytes": 3, "created_at": NOW, "filename": "in.jsonl", "purpose": "batch", "status": status, "expires_at": EXPIRES, **more}


def vector_store():
    counts = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
    return {"id": "vs_1", "object": "vector_store", "created_at": NOW, "name": "docs", "usage_bytes": 0, "file_counts": counts, "status": "completed", "last_active_at": NOW, "metadata": {}}


def found():
    hit = {"file_id": "file-1", "filename": "in.txt", "score": 0.9, "attributes": {}, "content": [{"type": "text", "text": TEXT}]}
    return {"object": "vector_store.search_results.page", "search_query": ["x"], "data": [hit], "has_more": False, "next_page": None}


def stored_chat():
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": NOW, "model": "gpt-4o", "usage": usage(),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]}


def deleted(id, kind):
    return {"id": id, "object": kind, "deleted": True}


# Responses

def response(body, status="completed", output=None, **more):
    details = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 15}
    return {"id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b", "object": "response", "created_at": NOW, "status": status, "error": None,
            "incomplete_details": None, "instructions": body.get("instructions"), "max_output_tokens": body.get("max_output_tokens"),
            "model": "gpt-4o-2024-08-06", "output": output or [], "parallel_tool_calls": True, "previous_response_id": body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None}, "temperature": 1.0, "text": body.get("text") or {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice", "auto"), "tools": body.get("tools", []), "top_p": 1.0, "truncation": "disabled",
            "metadata": body.get("metadata") or {}, **({"usage": details} if status == "completed" else {}), **more}


def respond(request):
    body = request.json
    has_result = any(item.get("type") == "function_call_output" for item in body.get("input", []) if isinstance(item, dict))
    if body.get("tools") and not has_result:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_0", "status": "completed", **CALL}
    else:
        kind = ((body.get("text") or {}).get("format") or {}).get("type")
        part = {"type": "output_text", "text": OBJECT if kind == "json_schema" else TEXT, "annotations": [], "logprobs": []}
        item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    if not request.streamed:
        return response(body, output=[item])
    return Stream([(event["type"], {**event, "sequence_number": number}) for number, event in enumerate(response_events(body, item))])


def response_events(body, item):
    at = {"item_id": item["id"], "output_index": 0}
    begun = {**item, "status": "in_progress", **({"arguments": ""} if item["type"] == "function_call" else {"content": []})}
    yield {"type": "response.created", "response": response(body, "in_progress")}
    yield {"type": "response.in_progress", "response": response(body, "in_progress")}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    if item["type"] == "function_call":
        for piece in ('{"order"', ':"A-17"}'):
            yield {"type": "response.function_call_arguments.delta", "delta": piece, **at}
        yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"], "name": item["name"], **at}
    else:
        part, at = item["content"][0], {**at, "content_index": 0}
        yield {"type": "response.content_part.added", "part": {**part, "text": ""}, **at}
        for word in pieces(part["text"]):
            yield {"type": "response.output_text.delta", "delta": word, "logprobs": [], **at}
        yield {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **at}
        yield {"type": "response.content_part.done", "part": part, **at}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response(body, output=[item])}


def input_items(request):
    item = {"id": "msg_0", "type": "message", "role": "user", "status": "completed", "content": [{"type": "input_text", "text": "hi"}]}
    return page(item)


# Anthropic

def message(request):
    body = request.json
    has_result = any(part.get("type") == "tool_result" for turn in body["messages"] if isinstance(turn["content"], list) for part in turn["content"])
    counts = {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 6,
              "output_tokens_details": {"thinking_tokens": 0}, "server_tool_use": None}
    tokens = {**counts, "cache_creation": None, "inference_geo": None, "service_tier": "standard"}
    text = OBJECT if (body.get("output_config") or {}).get("format") else TEXT
    block = {"type": "text", "text": text, "citations": None}
    if body.get("tools") and not has_result:
        block = {"type": "tool_use", "id": "toolu_1", "name": CALL["name"], "input": json.loads(CALL["arguments"]), "caller": {"type": "direct"}}
    stop = "tool_use" if block["type"] == "tool_use" else "end_turn"
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "container": None, "stop_details": None}
    if not request.streamed:
        return {**head, "content": [block], "stop_reason": stop, "stop_sequence": None, "usage": tokens}
    begun = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
    deltas = [{"type": "text_delta", "text": word} for word in pieces(text)] if block["type"] == "text" else [
        {"type": "input_json_delta", "partial_json": piece} for piece in ('{"order"', ':"A-17"}')]
    events = [{"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**tokens, "output_tokens": 1}}},
              {"type": "content_block_start", "index": 0, "content_block": begun}, {"type": "ping"},
              *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None, "stop_details": None, "container": None}, "usage": counts}, {"type": "message_stop"}]
    return Stream([(event["type"], event) for event in events])


# The paths

ID = r"[\w-]+"
TABLE = [(method, re.compile(f"{pattern}$"), answer) for method, pattern, answer in [
    ("POST", "/chat/completions", chat),
    ("GET", "/chat/completions", lambda _: page(stored_chat())),
    ("GET", f"/chat/completions/{ID}", lambda _: stored_chat()),
    ("POST", f"/chat/completions/{ID}", lambda _: stored_chat()),
    ("DELETE", f"/chat/completions/{ID}", lambda _: deleted("chatcmpl-1", "chat.completion.deleted")),
    ("GET", f"/chat/completions/{ID}/messages", lambda _: page({"id": "chatcmpl-1-0", "role": "assistant", "content": "hi", "refusal": None, "content_parts": None})),
    ("POST", "/completions", completion),
    ("POST", "/embeddings", embeddings),
    ("POST", "/moderations", moderation),
    ("POST", "/rerank", lambda _: {"id": "rerank-1", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}),
    ("POST", "/images/(generations|edits|variations)", image),
    ("POST", "/audio/speech", speech),
    ("POST", "/audio/(transcriptions|translations)", transcription),
    ("POST", "/files", lambda request: file(purpose=request.form["purpose"].decode(), n_bytes=len(request.form["file"]))),
    ("GET", "/files", lambda _: page(file())),
    ("GET", f"/files/{ID}", lambda _: file()),
    ("DELETE", f"/files/{ID}", lambda _: deleted("file-1", "file")),
    ("GET", f"/files/{ID}/content", lambda _: Bytes(b'{"a":1}\n\x00\xff', "application/octet-stream")),
    ("POST", "/batches", lambda _: batch()),
    ("GET", "/batches", lambda _: page(batch())),
    ("GET", f"/batches/{ID}", lambda _: batch("in_progress")),
    ("POST", f"/batches/{ID}/cancel", lambda _: batch("cancelling")),
    ("POST", "/uploads", lambda _: upload()),
    ("POST", f"/uploads/{ID}/parts", lambda _: {"id": "part_1", "object": "upload.part", "created_at": NOW, "upload_id": "upload_1"}),
    ("POST", f"/uploads/{ID}/complete", lambda _: upload("completed", file=file())),
    ("POST", "/vector_stores", lambda _: vector_store()),
    ("POST", f"/vector_stores/{ID}/search", lambda _: found()),
    ("POST", "/responses", respond),
    ("POST", "/responses/input_tokens", lambda _: {"object": "response.input_tokens", "input_tokens": 9}),
    ("GET", f"/responses/{ID}", lambda _: response({}, output=[])),
    ("DELETE", f"/responses/{ID}", lambda _: Bytes(b"", "application/json")),
    ("POST", f"/responses/{ID}/cancel", lambda _: response({}, "cancelled")),
    ("GET", f"/responses/{ID}/input_items", input_items),
    ("POST", "/messages", message),
    ("POST", "/messages/count_tokens", lambda _: {"input_tokens": 9}),
]]


def quirky(request, answer):
    """What a server that gets one thing wrong makes of this request."""
    said, request.json = request.json, quirks.ask(request.quirk, request.json)
    answered = answer(request)
    request.json = said
    return Stream(quirks.stream(request.quirk, answered.events)) if isinstance(answered, Stream) else quirks.whole(request.quirk, said, answered)


CLAUDES_ERRORS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


CLAUDES, DEPLOYED = ("claude", "anthropic"), ("gpt-4o", "azure")


def admit(request, path):
    """Who may ask for what, where: each dialect with its own key, each model at its own dialect's paths."""
    headers, model = request.headers, request.model
    if path.startswith("/messages"):
        if "sk-ant-vendor" not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")) or "anthropic-version" not in headers:
            raise Failure(401, "no key of Anthropic's, or no version")
        if not model.startswith(CLAUDES):
            raise Failure(404, f"model: {model}")
    elif request.path.startswith("/openai/"):
        if "azure-key" not in (headers.get("api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
            raise Failure(401, "no key of Azure's")
        if request.azure and "api-version=" not in request.query:
            raise Failure(404, "Resource not found")
        if (request.deployment or model or "azure") not in DEPLOYED:
            raise Failure(404, "The API deployment for this resource does not exist.", "DeploymentNotFound")
    elif model.startswith(("chat-only", "quirk-")):
        if path not in ("/chat/completions", "/embeddings") or path == "/embeddings" and model.startswith("chat-only"):
            raise Failure(404, f"{path} is not here", "unknown_url")
    elif headers.get("authorization") != "Bearer sk-vendor":
        raise Failure(401, "no key of OpenAI's", "invalid_api_key")
    elif model.startswith(CLAUDES) or model in DEPLOYED:
        raise Failure(404, f"The model `{model}` does not exist", "model_not_found")


class Vendor:
    def __init__(self, log):
        self.log = open(log, "a", buffering=1) if log else None

    def answer(self, request):
        """(status, what is answered)"""
        path = re.sub(r"^/openai(/v1|/deployments/[^/]+)?|^/v1", "", request.path)
        failing = re.search(rb"fail=(\d{3})", request.body)
        try:
            admit(request, path)
            if failing:
                raise Failure(int(failing[1]), code="context_length_exceeded" if failing[1] == b"400" else None)
            for method, pattern, answer in TABLE:
                if method == request.method and pattern.match(path):
                    return 200, quirky(request, answer) if request.quirk else answer(request)
            raise Failure(404, f"Unknown request URL: {request.method} {path}.", "unknown_url")
        except Failure as failure:
            if path.startswith("/messages"):
                kind = CLAUDES_ERRORS.get(failure.status, "api_error" if failure.status >= 500 else "invalid_request_error")
                return failure.status, {"type": "error", "error": {"type": kind, "message": str(failure)}, "request_id": "req_1"}
            return failure.status, quirks.refused(request.quirk, failure.body)

    def note(self, request, status, answered):
        if isinstance(answered, Stream):
            shown = {"events": [event[1] if isinstance(event, tuple) else event for event in answered.events]}
        else:
            shown = {"bytes": len(answered.body)} if isinstance(answered, Bytes) else answered
        if self.log:
            self.log.write(json.dumps({"method": request.method, "path": request.path, "query": request.query, "headers": request.headers,
                                       "request": request.said(), "status": status, "answer": shown}) + "\n")

    async def write(self, reader, writer, status, answered):
        answer = Answer(writer, reader)
        limits = ["x-ratelimit-limit-requests: 10000", "x-ratelimit-remaining-requests: 9999", "x-ratelimit-reset-requests: 8ms",
                  "openai-processing-ms: 12", "openai-version: 2020-10-01", "request-id: req_1"]
        if isinstance(answered, Stream):
            answer.head(status, "text/event-stream; charset=utf-8", "transfer-encoding: chunked", *limits)
            for event in answered.events:
                name, data = event if isinstance(event, tuple) else (None, event)
                text = data if isinstance(data, str) else json.dumps(data)
                await answer.chunk((f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode())
            return await answer.end_stream()
        if isinstance(answered, Bytes):
            answer.head(status, answered.kind, f"content-length: {len(answered.body)}", *limits)
            writer.write(answered.body)
            return await writer.drain()
        await answer.whole(status, answered, *limits)

    async def serve(self, reader, writer):
        try:
            while request := await read(reader):
                status, answered = self.answer(request)
                self.note(request, status, answered)
                await self.write(reader, writer, status, answered)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read(reader):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = first.split()
    return Request(method, target, headers, body)


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--log")
    options = arguments.parse_args()
    server = await asyncio.start_server(Vendor(options.log).serve, "127.0.0.1", options.port, backlog=512, limit=64 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
