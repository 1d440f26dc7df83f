"""Responses translated to chat completions and back, as the official SDKs see it: their types, their accumulators.

`CROSSFADE_TRANSLATE` names the translator (`cargo build -p wire --example translate`). No server: the SDK's transport is a
function that translates.
"""
import json, pathlib, subprocess, typing

import httpx2
import openai
import pytest
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import completion_create_params
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from parts import translate
from parts.translate import rng_of, seeds

REQUEST = {"model": "gpt-4o", "input": "Hi", "instructions": "Be brief.", "metadata": {"team": "a"}, "stream": True, "temperature": 0.5,
           "reasoning": {"effort": "low"}, "tool_choice": "auto",
           "tools": [{"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}} for name in "fg"]}
EVENTS = {typing.get_args(model.model_fields["type"].annotation)[0]: model for model in typing.get_args(typing.get_args(ResponseStreamEvent)[0])}


@pytest.fixture(scope="module")
def translator():
    translator = translate.Translator()
    yield translator
    translator.stop()


def client_of(handler):
    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return openai.OpenAI(base_url="http://unused.invalid/v1", api_key="sk-test", max_retries=0, http_client=http)


def served(body, rng):
    """A client to whom every request is answered by this stream, in pieces of random length."""
    pieces = translate.cut(body.encode(), rng)
    return client_of(lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(pieces)))


SUMMARY = {**REQUEST, "reasoning": {"summary": "auto"}}


def streamed(translator, said, rng, request=REQUEST):
    body = translate.sse(translate.chunks(said, rng), rng)
    result = translator(pair="responses", do="stream", request=json.dumps(request), body=body, cuts=translate.cuts(body, rng))
    return body, result


def answered(translator, said, request=REQUEST):
    result = translator(pair="responses", do="answer", request=json.dumps(request), body=json.dumps(translate.completion(said)))
    return json.loads(result["body"])


def events_of(body):
    events = []
    for event in body.split("\n\n")[:-1]:
        name, data = event.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == "event: " + events[-1]["type"]
    return events


def unknown_to(model, at=""):
    """The fields of a value, however deep, that the SDK's types do not have."""
    found = {f"{at}{name}" for name in (model.model_extra or {})}
    for name, value in model:
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, BaseModel):
                found |= unknown_to(element, f"{at}{name}.")
    return found


def check_types(event):
    """The event has every field the SDK's types require, with the right types; what they do not know is returned, but for
    the name the published description of the API requires at the end of a call's arguments."""
    known = {"name"} if event["type"] == "response.function_call_arguments.done" else set()
    return unknown_to(EVENTS[event["type"]].model_validate(event)) - known


@pytest.mark.parametrize("seed", seeds(150))
def test_streams_have_the_types_of_the_sdk_and_say_what_the_whole_answer_says(translator, seed):
    rng = rng_of(seed)
    said, request = translate.said(rng), rng.choice([REQUEST, SUMMARY])
    _, result = streamed(translator, said, rng, request)
    assert result["failure"] is None
    events = events_of(result["body"])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        assert check_types(event) == set(), event
    whole = answered(translator, said, request)
    assert unknown_to(Response.model_validate(whole)) == set()
    assert events[-1]["response"] == whole
    assert events[-1]["type"] == "response." + whole["status"]
    assert json.loads(result["output"]) == whole["output"]


@pytest.mark.parametrize("seed", seeds(60))
def test_the_sdk_accumulates_translated_streams_to_what_it_accumulates_from_the_chat(translator, seed):
    rng = rng_of(seed)
    said = translate.said(rng, finish="stop")
    chat, result = streamed(translator, said, rng)
    with served(chat, rng).chat.completions.stream(model="m", messages=[]) as stream:
        message = stream.get_final_completion().choices[0].message
    with served(result["body"], rng).responses.stream(model="m", input="Hi") as stream:
        response = stream.get_final_response()
    assert response.output_text == (message.content or "")
    calls = [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]
    assert calls == [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    assert "".join(part.refusal for part in parts if part.type == "refusal") == (message.refusal or "")
    reasoning = [part.text for item in response.output if item.type == "reasoning" for part in item.content]
    assert "".join(reasoning) == (getattr(message, "reasoning_content", None) or "")
    assert response.usage.input_tokens == 20 if said["usage"] else response.usage is None


@pytest.mark.parametrize("seed", seeds(60))
def test_what_the_sdk_gathers_from_deltas_is_what_the_last_event_says(translator, seed):
    rng = rng_of(seed)
    _, result = streamed(translator, translate.said(rng), rng)
    state = ResponseStreamState(input_tools=openai.omit, text_format=openai.omit)
    events = [EVENTS[event["type"]].model_validate(event) for event in events_of(result["body"])]
    for event in events:
        state.handle_event(event)
    gathered = state._ResponseStreamState__current_snapshot.output
    for item, final in zip(gathered, events[-1].response.output, strict=True):
        assert (item.type, item.id) == (final.type, final.id)
        if item.type == "function_call":
            assert item.arguments == final.arguments
        elif item.type == "message":
            texts = [(part.type, getattr(part, "text", None)) for part in item.content]
            assert texts == [(part.type, getattr(part, "text", None)) for part in final.content]
    assert state._completed_response is not None or events[-1].type == "response.incomplete"


def test_the_node_sdk_accumulates_the_same(translator, tmp_path):
    cases = []
    for seed in seeds(60):
        rng = rng_of(seed)
        said, request = translate.said(rng), rng.choice([REQUEST, SUMMARY])
        body, result = streamed(translator, said, rng, request)
        cases.append((result["body"], answered(translator, said, request)))
        if not seed % 10:
            cut = translator(pair="responses", do="stream", request=json.dumps(REQUEST), body=body[:len(body) // 2])
            cases.append((cut["body"], None if cut["failure"] else answered(translator, said)))
    file = tmp_path / "streams"
    file.write_text("".join(json.dumps(body) + "\n" for body, _ in cases))
    script = pathlib.Path(__file__).with_name("responses_events.cjs")
    out = subprocess.run(["node", script, file], capture_output=True, text=True, timeout=60, check=True).stdout.split("\n")[:-1]
    for line, (_, whole) in zip(out, cases, strict=True):
        told = json.loads(line)
        if whole is None:
            assert told["code"] == "upstream_disconnected", told
            continue
        text = "".join(part["text"] for item in whole["output"] if item["type"] == "message" for part in item["content"] if part["type"] == "output_text")
        assert told["response"].pop("output_text") == text
        for item in told["response"]["output"]:     # the helper adds what it parsed
            item.pop("parsed_arguments", None)
            for part in item.get("content", []):
                part.pop("parsed", None)
        told["response"].pop("output_parsed", None)
        assert told["response"] == whole


@pytest.mark.parametrize("seed", seeds(30))
def test_a_cut_stream_raises(translator, seed):
    rng = rng_of(seed)
    said = translate.said(rng)
    body = translate.sse(translate.chunks(said, rng), rng).encode()
    body = body[:rng.randrange(body.index(f'"finish_reason": "{said["finish"]}"'.encode()))].decode(errors="ignore")
    result = translator(pair="responses", do="stream", request=json.dumps(REQUEST), body=body)
    assert result["failure"] == "disconnected"
    events = events_of(result["body"])
    for event in events:
        assert check_types(event) <= {"error"}, event
    assert [event["type"] for event in events][-2:] in (["response.failed", "error"], ["error"])
    with pytest.raises(openai.APIError, match="closed the connection") as raised:
        for event in served(result["body"], rng).responses.create(model="m", input="Hi", stream=True):
            assert event.type != "response.completed"
    assert raised.value.code == "upstream_disconnected"
    with pytest.raises(openai.APIError, match="closed the connection"):
        with served(result["body"], rng).responses.stream(model="m", input="Hi") as stream:
            stream.until_done()


def exhaust(value):
    """Iterables are validated when they are read."""
    if isinstance(value, dict):
        return {key: exhaust(element) for key, element in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [exhaust(element) for element in value]


CHAT_REQUEST = TypeAdapter(typing.Union[completion_create_params.CompletionCreateParams])


def check_chat_request(request):
    """The request has the types the SDK gives chat completions, and no field they do not know."""
    exhaust(CHAT_REQUEST.validate_python(request, extra="forbid"))


def gateway(translator, said, seen):
    """A client whose requests are translated, answered with `said`, and the answers translated back."""
    def handle(request):
        body = request.content.decode()
        result = translator(pair="responses", do="request", body=body)
        if "refusal" in result:
            return httpx2.Response(result["status"], json=json.loads(result["refusal"]))
        chat = json.loads(result["body"])
        check_chat_request(chat)
        seen.append((chat, result["changes"]))
        if chat.get("stream"):
            _, streamed_back = streamed(translator, said, rng_of(0), json.loads(body))
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=streamed_back["body"].encode())
        return httpx2.Response(200, json=answered(translator, said, json.loads(body)))
    return client_of(handle)


class Ticket(BaseModel):
    urgent: bool
    category: str


def says(content="", calls=(), finish="stop"):
    calls = [{"id": call, "name": name, "arguments": [arguments]} for call, name, arguments in calls]
    return {"reasoning_content": [], "content": [content] if content else [], "refusal": [], "calls": calls, "finish": finish, "usage": True,
            "logprobs": False, "citations": False}


@pytest.mark.parametrize("stream", [False, True])
def test_structured_answers_are_parsed(translator, stream):
    seen = []
    client = gateway(translator, says('{"urgent":true,"category":"refund"}'), seen)
    if stream:
        with client.responses.stream(model="m", input="Hi", text_format=Ticket) as events:
            response = events.get_final_response()
    else:
        response = client.responses.parse(model="m", input="Hi", text_format=Ticket)
    assert response.output_parsed == Ticket(urgent=True, category="refund")
    schema = seen[0][0]["response_format"]["json_schema"]
    assert schema["strict"] is True and schema["name"] == "Ticket" and list(schema["schema"]["properties"]) == ["urgent", "category"]


def test_a_tool_loop_goes_round(translator):
    seen = []
    tool = openai.pydantic_function_tool(Ticket, name="make_ticket")["function"]
    tool = {"type": "function", "name": tool["name"], "parameters": tool["parameters"], "strict": True}
    ask = [{"role": "user", "content": "A refund, now!"}]
    call = says("Let me.", [("call_1", "make_ticket", '{"urgent":true,"category":"refund"}')], "tool_calls")
    first = gateway(translator, call, seen).responses.parse(model="m", input=ask, tools=[tool], parallel_tool_calls=False)
    assert first.output[1].parsed_arguments == Ticket(urgent=True, category="refund").model_dump()
    results = [{"type": "function_call_output", "call_id": item.call_id, "output": "done"} for item in first.output if item.type == "function_call"]
    history = ask + [item.model_dump(exclude={"parsed_arguments"}) for item in first.output] + results
    second = gateway(translator, says("It is done."), seen).responses.create(model="m", input=history, tools=[tool])
    assert second.output_text == "It is done." and second.tools[0].name == "make_ticket"
    assert [message["role"] for message in seen[1][0]["messages"]] == ["user", "assistant", "tool"]
    assert seen[1][0]["messages"][1]["tool_calls"][0]["id"] == seen[1][0]["messages"][2]["tool_call_id"] == "call_1"


def test_what_is_refused_names_the_field(translator):
    client = gateway(translator, says("x"), [])
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="m", input="Hi", tools=[{"type": "web_search"}])
    assert raised.value.param == "tools[0]" and raised.value.code == "unsupported_parameter"
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="m", input="Hi", previous_response_id="resp_1")


CASES = pathlib.Path(__file__).parents[2] / "crates" / "wire" / "tests" / "responses"


@pytest.mark.parametrize("case", sorted(CASES.glob("request/*.json")), ids=lambda case: case.stem)
def test_translated_requests_have_the_types_of_the_sdk(translator, case):
    has_unknown = case.stem == "unknown_fields"
    result = translator(pair="responses", do="request", body=case.read_text(), has_unknown=has_unknown)
    if not has_unknown:
        check_chat_request(json.loads(result["body"]))


@pytest.mark.parametrize("case", sorted(CASES.glob("answer/*.json")), ids=lambda case: case.stem)
def test_translated_answers_have_the_types_of_the_sdk(translator, case):
    result = translator(pair="responses", do="answer", request=json.dumps(REQUEST), body=case.read_text())
    if case.stem.startswith("failed_"):
        assert "failure" in result
    else:
        assert unknown_to(Response.model_validate_json(result["body"])) <= {"output.status"}


@pytest.mark.parametrize("case", sorted(CASES.glob("stream/*.sse")), ids=lambda case: case.stem)
def test_translated_streams_have_the_types_of_the_sdk(translator, case):
    result = translator(pair="responses", do="stream", request=json.dumps(REQUEST), body=case.read_text())
    for event in events_of(result["body"]):
        assert check_types(event) <= {"error", "item.status", "response.output.status"}, event


def test_the_check_of_requests_finds_what_is_wrong():
    good = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "tool_choice": "auto"}
    check_chat_request(good)
    wrong = [{**good, "input": "x"}, {**good, "messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
             {**good, "tools": [{"type": "function", "name": "f"}]}, {**good, "tool_choice": {"type": "function", "name": "f"}},
             {**good, "messages": [{"role": "tool", "content": "x"}]}, {**good, "messages": [{"role": "user", "content": "x", "phase": "y"}]}]
    for request in wrong:
        with pytest.raises(ValidationError):
            check_chat_request(request)


def test_the_check_of_types_finds_what_is_missing(translator):
    rng = rng_of(1)
    _, result = streamed(translator, says("x"), rng)
    for event in events_of(result["body"]):
        for field in set(event) - {"type"}:
            with pytest.raises(ValidationError):
                check_types({name: value for name, value in event.items() if name != field})
        if "response" in event:
            for field in ("id", "created_at", "model", "object", "output", "parallel_tool_calls", "tool_choice", "tools"):
                with pytest.raises(ValidationError):
                    check_types({**event, "response": {name: value for name, value in event["response"].items() if name != field}})
