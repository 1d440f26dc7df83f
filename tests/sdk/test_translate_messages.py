"""Messages translated to chat completions and back, and the other way round, as both official SDKs see it: their types, their
accumulators.

`CROSSFADE_TRANSLATE` names the translator (`cargo build -p wire --example translate`). No server: the SDK's transport is a
function that translates.
"""
import json, pathlib, subprocess, typing

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent, message_create_params
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params
from pydantic import BaseModel, TypeAdapter, ValidationError

from parts import translate
from parts.translate import rng_of, seeds

MESSAGES = {"model": "claude-sonnet-5-5", "max_tokens": 100, "thinking": {"type": "adaptive"}, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
CHAT = {"model": "gpt-4o", "stream": True, "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": "Hi"}]}
EVENT, CHUNK = TypeAdapter(RawMessageStreamEvent), TypeAdapter(ChatCompletionChunk)
CHAT_REQUEST = TypeAdapter(typing.Union[completion_create_params.CompletionCreateParams])
MESSAGES_REQUEST = TypeAdapter(typing.Union[message_create_params.MessageCreateParams])
STREAM = {"content-type": "text/event-stream"}


@pytest.fixture(scope="module")
def translator():
    translator = translate.Translator()
    yield translator
    translator.stop()


def client_of(sdk, handler):
    options = {"api_key": "sk-test", "max_retries": 0, "http_client": httpx2.Client(transport=httpx2.MockTransport(handler))}
    return sdk(base_url="http://unused.invalid/v1" if sdk is openai.OpenAI else "http://unused.invalid", **options)


def served(sdk, body, rng):
    """A client to whom every request is answered by this stream, in pieces of random length."""
    pieces = translate.cut(body.encode(), rng)
    return client_of(sdk, lambda request: httpx2.Response(200, headers=STREAM, content=iter(pieces)))


def unknown_to(model, at=""):
    """The fields of a value, however deep, that the SDK's types do not have."""
    found = {f"{at}{name}" for name in (model.model_extra or {})}
    for name, value in model:
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, BaseModel):
                found |= unknown_to(element, f"{at}{name}.")
    return found


def exhaust(value):
    """Iterables are validated when they are read."""
    if isinstance(value, dict):
        return {key: exhaust(element) for key, element in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [exhaust(element) for element in value]


def check_request(types, request):
    """The request has the types the SDK gives it, and no field they do not know."""
    exhaust(types.validate_python(request, extra="forbid"))


def data_of(body):
    lines = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def sse_of(events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def message_of(said):
    """What was said, as a whole message of a Claude's."""
    content = []
    if said["reasoning_content"]:
        content.append({"type": "thinking", "thinking": "".join(said["reasoning_content"]), "signature": "EqoB"})
    if said["content"]:
        content.append({"type": "text", "text": "".join(said["content"])})
    content += [{"type": "tool_use", "id": call["id"], "name": call["name"], "input": json.loads("".join(call["arguments"]))} for call in said["calls"]]
    stop = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}[said["finish"]]
    usage = {"input_tokens": 4, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 14, "output_tokens": 9}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": content, "stop_reason": stop,
            "stop_sequence": None, "usage": usage}


def message_events(said, rng):
    """The same as the events of a stream."""
    whole = message_of(said)
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}}
    pieces = {"thinking": ("thinking_delta", "thinking", said["reasoning_content"]), "text": ("text_delta", "text", said["content"])}
    calls = iter(said["calls"])
    for index, block in enumerate(whole["content"]):
        empty = {**block, **{key: type(value)() for key, value in block.items() if key in ("text", "thinking", "signature", "input")}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        if rng.random() < 0.3:
            yield {"type": "ping"}
        kind, field, texts = pieces.get(block["type"]) or ("input_json_delta", "partial_json", next(calls)["arguments"])
        for text in texts:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: text}}
        if block["type"] == "thinking":
            yield {"type": "content_block_delta", "index": index, "delta": {"type": "signature_delta", "signature": block["signature"]}}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": 9}}
    yield {"type": "message_stop"}


def messages_from_chat(translator, said, rng, request=MESSAGES):
    """The chat stream, and what a caller of Messages gets for it."""
    body = translate.sse(translate.chunks(said, rng), rng)
    return body, translator(pair="messages", do="stream", request=json.dumps(request), body=body, cuts=translate.cuts(body, rng))


def chat_from_messages(translator, said, rng, request=CHAT):
    """The Messages stream, and what a caller of chat gets for it."""
    body = sse_of(message_events(said, rng))
    return body, translator(pair="chat", do="stream", request=json.dumps(request), body=body, cuts=translate.cuts(body, rng))


def final_message(body, rng):
    with served(anthropic.Anthropic, body, rng).messages.stream(model="m", max_tokens=9, messages=[]) as stream:
        return stream.get_final_message()


def final_completion(body, rng):
    with served(openai.OpenAI, body, rng).chat.completions.stream(model="m", messages=[]) as stream:
        return stream.get_final_completion()


def said_in_chat(message):
    """Text, reasoning and calls of a chat message."""
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]
    return (message.content or "") + (message.refusal or ""), getattr(message, "reasoning_content", None) or "", calls


def said_in_messages(message):
    """The same of a message of Anthropic's."""
    text = "".join(block.text for block in message.content if block.type == "text")
    thinking = "".join(block.thinking for block in message.content if block.type == "thinking")
    return text, thinking, [(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]


@pytest.mark.parametrize("seed", seeds(150))
def test_messages_streams_accumulate_to_the_whole_answer_and_to_what_the_chat_said(translator, seed):
    rng = rng_of(seed)
    said = translate.said(rng)
    chat, result = messages_from_chat(translator, said, rng)
    assert result["failure"] is None
    for event in data_of(result["body"]):
        assert unknown_to(EVENT.validate_python(event, strict=True)) == set(), event
    whole = translator(pair="messages", do="answer", request=json.dumps(MESSAGES), body=json.dumps(translate.completion(said)))
    whole = Message.model_validate_json(whole["body"], strict=True)
    assert unknown_to(whole) == set()
    final = final_message(result["body"], rng)
    assert final.to_dict(exclude_none=True) == whole.to_dict(exclude_none=True)
    if said["finish"] in ("stop", "tool_calls"):
        assert said_in_messages(final) == said_in_chat(final_completion(chat, rng).choices[0].message)
    assert final.usage.input_tokens + final.usage.cache_read_input_tokens == (20 if said["usage"] else 0)


@pytest.mark.parametrize("seed", seeds(150))
def test_chat_streams_accumulate_to_the_whole_answer_and_to_what_the_message_said(translator, seed):
    rng = rng_of(seed)
    said = translate.said(rng, finish="stop")
    messages, result = chat_from_messages(translator, said, rng)
    assert result["failure"] is None and result["body"].endswith("data: [DONE]\n\n")
    for chunk in data_of(result["body"]):
        assert unknown_to(CHUNK.validate_python(chunk, strict=True)) <= {"choices.delta.reasoning_content"}, chunk
    whole = translator(pair="chat", do="answer", request=json.dumps(CHAT), body=json.dumps(message_of(said)))
    whole = ChatCompletion.model_validate_json(whole["body"], strict=True)
    assert unknown_to(whole) <= {"choices.message.reasoning_content"}
    final = final_completion(result["body"], rng)
    assert said_in_chat(final.choices[0].message) == said_in_chat(whole.choices[0].message) == said_in_messages(final_message(messages, rng))
    assert final.usage == whole.usage and final.usage.prompt_tokens == 20
    assert final.choices[0].finish_reason == whole.choices[0].finish_reason
    assert (final.id, final.created, final.model) == (whole.id, whole.created, whole.model)


def test_the_node_sdks_accumulate_the_same(translator, tmp_path):
    cases = []
    for seed in seeds(60):
        rng = rng_of(seed)
        said = translate.said(rng)
        chat, result = messages_from_chat(translator, said, rng)
        whole = translator(pair="messages", do="answer", request=json.dumps(MESSAGES), body=json.dumps(translate.completion(said)))
        cases.append(("anthropic", result["body"], json.loads(whole["body"])))
        cut = translator(pair="messages", do="stream", request=json.dumps(MESSAGES), body=chat[:len(chat) // 2])
        cases.append(("anthropic", cut["body"], None if cut["failure"] else json.loads(whole["body"])))
        said["finish"] = "tool_calls" if said["calls"] else "stop"
        _, result = chat_from_messages(translator, said, rng)
        whole = translator(pair="chat", do="answer", request=json.dumps(CHAT), body=json.dumps(message_of(said)))
        cases.append(("openai", result["body"], json.loads(whole["body"])))
    file = tmp_path / "streams"
    file.write_text("".join(json.dumps({"sdk": sdk, "body": body}) + "\n" for sdk, body, _ in cases))
    script = pathlib.Path(__file__).with_name("messages_events.cjs")
    out = subprocess.run(["node", script, file], capture_output=True, text=True, timeout=60, check=True).stdout.split("\n")[:-1]
    for line, (sdk, body, whole) in zip(out, cases, strict=True):
        told = json.loads(line)
        if whole is None:
            assert "closed the connection" in told["error"], told
        elif sdk == "anthropic":
            for key in ("content", "stop_reason", "usage", "id", "model"):
                assert told["answer"][key] == whole[key], body
            assert told["blocks"] == whole["content"], body
        else:
            # Of fields it does not know, such as reasoning_content, this accumulator keeps the last piece.
            text, _, calls = said_in_chat(ChatCompletion.model_validate(told["answer"]).choices[0].message)
            whole_text, _, whole_calls = said_in_chat(ChatCompletion.model_validate(whole).choices[0].message)
            assert (text, calls) == (whole_text, whole_calls)
            assert told["answer"]["usage"] == whole["usage"]


@pytest.mark.parametrize("seed", seeds(40))
def test_a_cut_stream_raises_in_both_sdks(translator, seed):
    rng = rng_of(seed)
    said = translate.said(rng, finish="stop")
    chat = translate.sse(translate.chunks(said, rng), rng).encode()
    chat = chat[:rng.randrange(chat.index(f'"finish_reason": "{said["finish"]}"'.encode()))].decode(errors="ignore")
    result = translator(pair="messages", do="stream", request=json.dumps(MESSAGES), body=chat)
    assert result["failure"] == "disconnected" and "message_stop" not in result["body"]
    with pytest.raises(anthropic.APIStatusError, match="closed the connection"):
        final_message(result["body"], rng)
    messages = sse_of(message_events(said, rng)).encode()
    messages = messages[:rng.randrange(len(messages) - 1)].decode(errors="ignore")
    result = translator(pair="chat", do="stream", request=json.dumps(CHAT), body=messages)
    assert result["failure"] == "disconnected" and "[DONE]" not in result["body"]
    with pytest.raises(openai.APIError, match="closed the connection"):
        final_completion(result["body"], rng)


def from_anthropic(translator, said, seen):
    """A client of Anthropic's whose requests are translated to chat, answered with `said`, and the answers translated back."""
    def handle(request):
        body = request.content.decode()
        result = translator(pair="messages", do="request", body=body)
        if "refusal" in result:
            return httpx2.Response(result["status"], json=json.loads(result["refusal"]))
        chat = json.loads(result["body"])
        check_request(CHAT_REQUEST, chat)
        seen.append((chat, result["changes"]))
        if chat.get("stream"):
            assert chat["stream_options"] == {"include_usage": True}
            _, back = messages_from_chat(translator, said, rng_of(0), json.loads(body))
            return httpx2.Response(200, headers=STREAM, content=back["body"].encode())
        back = translator(pair="messages", do="answer", request=body, body=json.dumps(translate.completion(said)))
        return httpx2.Response(200, json=json.loads(back["body"]))
    return client_of(anthropic.Anthropic, handle)


def from_openai(translator, said, seen):
    """A client of OpenAI's whose requests are translated to Messages, answered with `said`, and the answers translated back."""
    def handle(request):
        body = request.content.decode()
        result = translator(pair="chat", do="request", body=body)
        if "refusal" in result:
            return httpx2.Response(result["status"], json=json.loads(result["refusal"]))
        messages = json.loads(result["body"])
        check_request(MESSAGES_REQUEST, messages)
        seen.append((messages, result["changes"]))
        if messages.get("stream"):
            _, back = chat_from_messages(translator, said, rng_of(0), json.loads(body))
            return httpx2.Response(200, headers=STREAM, content=back["body"].encode())
        back = translator(pair="chat", do="answer", request=body, body=json.dumps(message_of(said)))
        return httpx2.Response(200, json=json.loads(back["body"]))
    return client_of(openai.OpenAI, handle)


class Ticket(BaseModel):
    urgent: bool
    category: str


def says(content="", calls=(), finish="stop"):
    calls = [{"id": call, "name": name, "arguments": [arguments]} for call, name, arguments in calls]
    return {"reasoning_content": [], "content": [content] if content else [], "refusal": [], "calls": calls, "finish": finish, "usage": True,
            "logprobs": False, "citations": False}


TICKET = '{"urgent":true,"category":"refund"}'


def test_structured_answers_are_parsed_by_both_sdks(translator):
    seen = []
    client = from_anthropic(translator, says(TICKET), seen)
    message = client.messages.parse(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], output_format=Ticket)
    assert message.parsed_output == Ticket(urgent=True, category="refund")
    assert list(seen[0][0]["response_format"]["json_schema"]["schema"]["properties"]) == ["urgent", "category"]
    client = from_openai(translator, says(TICKET), seen)
    answer = client.chat.completions.parse(model="m", messages=[{"role": "user", "content": "Hi"}], response_format=Ticket)
    assert answer.choices[0].message.parsed == Ticket(urgent=True, category="refund")
    assert list(seen[1][0]["output_config"]["format"]["schema"]["properties"]) == ["urgent", "category"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_anthropics_goes_round(translator, stream):
    seen = []
    def ask(client, messages):
        arguments = {"model": "m", "max_tokens": 9, "messages": messages, "tools": tools, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
        if not stream:
            return client.messages.create(**arguments)
        with client.messages.stream(**arguments) as events:
            return events.get_final_message()
    tools = [{"name": "make_ticket", "description": "Makes one.", "input_schema": Ticket.model_json_schema()}]
    messages = [{"role": "user", "content": [{"type": "text", "text": "A refund!"},
                                             {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}]
    first = ask(from_anthropic(translator, says("Let me.", [("call_1", "make_ticket", TICKET)], "tool_calls"), seen), messages)
    assert first.stop_reason == "tool_use" and first.content[1].input == json.loads(TICKET)
    result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "done"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(from_anthropic(translator, says("It is done."), seen), messages)
    assert (second.content[0].text, second.stop_reason) == ("It is done.", "end_turn")
    sent = seen[1][0]
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool"] and sent["parallel_tool_calls"] is False
    assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"] == "call_1"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_of_openais_goes_round(translator, stream):
    seen = []
    def ask(client, messages):
        arguments = {"model": "m", "messages": messages, "tools": tools, "tool_choice": "required", "temperature": 0.5, "user": "u"}
        if not stream:
            return client.chat.completions.create(**arguments).choices[0].message
        with client.chat.completions.stream(**arguments) as events:
            return events.get_final_completion().choices[0].message
    tools = [openai.pydantic_function_tool(Ticket, name="make_ticket")]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [
        {"type": "text", "text": "A refund!"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]
    first = ask(from_openai(translator, says("Let me.", [("toolu_1", "make_ticket", TICKET)], "tool_calls"), seen), messages)
    assert json.loads(first.tool_calls[0].function.arguments) == json.loads(TICKET)
    messages += [{key: value for key, value in first.to_dict().items() if key in ("role", "content", "tool_calls")},
                 {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "done"}]
    for call in messages[2]["tool_calls"]:      # the helper adds what it parsed
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    second = ask(from_openai(translator, says("It is done."), seen), messages)
    assert second.content == "It is done."
    sent, changes = seen[1]
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"] and sent["system"] == "Be kind."
    assert sent["messages"][1]["content"][1]["id"] == sent["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert sent["tool_choice"] == {"type": "any"} and sent["max_tokens"] == 8192 and {"added max_tokens", "removed temperature"} <= set(changes)


def test_what_is_refused_names_the_field_in_the_callers_own_envelope(translator):
    client = from_anthropic(translator, says("x"), [])
    with pytest.raises(anthropic.BadRequestError, match="tools.0") as raised:
        client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    client = from_openai(translator, says("x"), [])
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], n=2)
    assert (raised.value.param, raised.value.code) == ("n", "unsupported_parameter")


def test_errors_raise_what_the_callers_sdk_has_for_them(translator):
    def raised(sdk, pair, status, body):
        result = translator(pair=pair, do="error", status=status, body=json.dumps(body))
        client = client_of(sdk, lambda request: httpx2.Response(result["status"], json=json.loads(result["body"])))
        with pytest.raises((anthropic.APIStatusError, openai.APIStatusError)) as raised:
            if sdk is openai.OpenAI:
                client.chat.completions.create(model="m", messages=[])
            else:
                client.messages.create(model="m", max_tokens=9, messages=[])
        return raised.value
    for status, kind, expected, code in [(529, "overloaded_error", openai.InternalServerError, "overloaded"),
                                         (429, "rate_limit_error", openai.RateLimitError, "rate_limit_exceeded"),
                                         (401, "authentication_error", openai.AuthenticationError, "invalid_api_key"),
                                         (402, "billing_error", openai.RateLimitError, "insufficient_quota"),
                                         (400, "invalid_request_error", openai.BadRequestError, None)]:
        error = raised(openai.OpenAI, "chat", status, {"type": "error", "error": {"type": kind, "message": "said so"}})
        assert type(error) is expected and error.code == code and "said so" in error.message
    for status, body, expected, kind in [(503, {"message": "said so", "code": "overloaded"}, anthropic.OverloadedError, "overloaded_error"),
                                         (429, {"message": "said so", "code": "rate_limit_exceeded"}, anthropic.RateLimitError, "rate_limit_error"),
                                         (404, {"message": "said so", "code": "model_not_found"}, anthropic.NotFoundError, "not_found_error"),
                                         (400, {"message": "said so", "type": "invalid_request_error"}, anthropic.BadRequestError, "invalid_request_error")]:
        error = raised(anthropic.Anthropic, "messages", status, {"error": body})
        assert type(error) is expected and error.body["error"] == {"type": kind, "message": "said so"}


CASES = pathlib.Path(__file__).parents[2] / "crates" / "wire" / "src" / "translate" / "messages"


@pytest.mark.parametrize("case", ["blocks", "tools", "output"])
def test_translated_messages_requests_have_the_types_of_the_sdk(translator, case):
    result = translator(pair="messages", do="request", body=(CASES / "inbound" / "fixtures" / f"{case}.json").read_text())
    check_request(CHAT_REQUEST, json.loads(result["body"]))


@pytest.mark.parametrize("case", ["plain", "roles", "tools", "functions"])
def test_translated_chat_requests_have_the_types_of_the_sdk(translator, case):
    result = translator(pair="chat", do="request", body=(CASES / "outbound" / "fixtures" / f"{case}.json").read_text())
    check_request(MESSAGES_REQUEST, json.loads(result["body"]))


@pytest.mark.parametrize("pair, do, spoil", [
    ("messages", "answer", lambda body: body.replace('"container":null,', "", 1)), ("messages", "answer", lambda body: body.replace('"text"', '"txt"', 1)),
    ("messages", "stream", lambda body: body.replace('"index":0', '"index":"0"', 1)), ("messages", "stream", lambda body: body.replace("text_delta", "txt_delta", 1)),
    ("chat", "answer", lambda body: body.replace('"finish_reason":"stop"', '"finish_reason":"end"', 1)), ("chat", "stream", lambda body: body.replace('"created"', '"made"', 1)),
    ("messages", "request", lambda body: body.replace('"messages"', '"mesages"', 1)), ("chat", "request", lambda body: body.replace('"max_tokens"', '"max_token"', 1)),
    ("responses", "answer", lambda body: body.replace('"output_text"', '"text"', 1)), ("responses", "stream", lambda body: body.replace('"output_index":0', '"output_index":null', 1))])
def test_the_published_descriptions_find_what_is_wrong(translator, pair, do, spoil):
    said, rng = says("Hello."), rng_of(0)
    request = json.dumps({"messages": MESSAGES, "chat": CHAT, "responses": {"model": "m", "input": "Hi"}}[pair])
    if do == "request":
        job = {"body": request}
    elif do == "answer":
        job = {"request": request, "body": json.dumps(message_of(said) if pair == "chat" else translate.completion(said))}
    else:
        job = {"request": request, "body": sse_of(message_events(said, rng)) if pair == "chat" else translate.sse(translate.chunks(said, rng), rng)}
    job = {"pair": pair, "do": do, **job}
    result = translator(**job)
    wrong = {**result, "body": spoil(result["body"])}
    assert wrong != result and list(translator.oracle.judge(job, result)) == [] and list(translator.oracle.judge(job, wrong))


def test_the_checks_of_requests_find_what_is_wrong():
    good = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "tool_choice": {"type": "auto"}}
    check_request(MESSAGES_REQUEST, good)
    wrong = [{**good, "temperature": 1}, {**good, "max_tokens": None}, {**good, "messages": [{"role": "tool", "content": "x"}]},
             {**good, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
             {**good, "tools": [{"name": "f", "parameters": {}}]}, {**good, "tool_choice": "auto"}]
    for request in wrong:
        with pytest.raises(ValidationError):
            check_request(MESSAGES_REQUEST, request)
