"""Responses and Messages by the official Python SDKs, through the gateway to targets that have them and to targets that have not:
the same assertions hold for both, so a translation that fails is seen."""
import json

import anthropic
import openai
import pytest
from pydantic import BaseModel

from conftest import translated
from parts.vendor import CALL, TEXT
from test_chat import ASK, TOOL
from test_endpoints import arrived

pytestmark = pytest.mark.gateway

# Which path the vendor is asked at, by route and by what the caller speaks; where that is another than the caller's, it is translated.
RESPONSES = {"vendor": "/v1/responses", "chat-only": "/v1/chat/completions", "anthropic": "/v1/messages"}
MESSAGES = {"anthropic": "/v1/messages", "chat-only": "/v1/chat/completions", "vendor": "/v1/chat/completions"}
FUNCTION = {"type": "function", "name": "get_order", "description": "Finds an order.", "parameters": TOOL["function"]["parameters"], "strict": False}
CLAUDE_TOOL = {"name": "get_order", "description": "Finds an order.", "input_schema": TOOL["function"]["parameters"]}


class Ticket(BaseModel):
    category: str
    urgent: bool


def routes(paths, as_it_is):
    return [route if path == as_it_is else pytest.param(route, marks=translated) for route, path in paths.items()]


@pytest.fixture(params=routes(RESPONSES, "/v1/responses"))
def route(request):
    return request.param


@pytest.fixture(params=routes(MESSAGES, "/v1/messages"))
def claude_route(request):
    return request.param


# Responses

def test_a_plain_response(client, route):
    answer = client.responses.create(model=route, input="Where is my order?", instructions="Answer briefly.", max_output_tokens=99)
    assert answer.output_text == TEXT and answer.status == "completed" and answer.instructions == "Answer briefly."
    assert answer.usage.input_tokens == 9 and answer.usage.output_tokens == 6 and answer.usage.input_tokens_details.cached_tokens == 2
    assert answer.id.startswith("resp_") and answer.output[-1].role == "assistant"
    assert arrived()["path"] == RESPONSES[route]


def test_a_streamed_response_has_numbered_events_in_order(client, route):
    events = list(client.responses.create(model=route, input=[{"role": "user", "content": "Where?"}], stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert events[-1].type == "response.completed" and events[-1].response.output_text == TEXT
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert events[-1].response.usage.total_tokens == 15


def test_the_stream_helper_accumulates_a_response(client, route):
    with client.responses.stream(model=route, input="Where?") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == TEXT


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_responses(client, route, streamed):
    conversation = [{"role": "user", "content": "Where is A-17?"}]
    if streamed:
        events = list(client.responses.create(model=route, input=conversation, tools=[FUNCTION], parallel_tool_calls=False, stream=True))
        assert json.loads("".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")) == json.loads(CALL["arguments"])
        first = events[-1].response
    else:
        first = client.responses.create(model=route, input=conversation, tools=[FUNCTION], tool_choice="auto", parallel_tool_calls=False)
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_order" and json.loads(call.arguments) == {"order": "A-17"}
    conversation += [item.model_dump(exclude_none=True) for item in first.output]
    conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": '{"status":"shipped"}'})
    assert client.responses.create(model=route, input=conversation, tools=[FUNCTION]).output_text == TEXT


def test_a_parsed_response(client, route):
    answer = client.responses.parse(model=route, input="Where?", text_format=Ticket)
    assert answer.output_parsed == Ticket(category="refund", urgent=True)
    with client.responses.stream(model=route, input="Where?", text_format=Ticket) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_parsed.category == "refund"


def test_an_error_about_a_response_keeps_its_class(client, route):
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=route, input="fail=400")
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model=route, input="fail=500", stream=True)


@translated
def test_what_only_a_vendor_can_do_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="chat-only", input="x", tools=[{"type": "web_search"}])
    assert caught.value.param == "tools[0]" and "runs at the provider" in caught.value.message
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="chat-only", input="x", background=True)


def test_what_only_a_vendor_can_do_is_asked_of_it(client):
    assert client.responses.create(model="vendor", input="x", tools=[{"type": "web_search"}], background=True).id


def test_responses_that_the_provider_keeps(client):
    id = client.responses.create(model="vendor", input="x").id
    assert client.responses.retrieve(id).object == "response"
    assert list(client.responses.input_items.list(id))[0].role == "user"
    assert client.responses.cancel(id).status == "cancelled"
    client.responses.delete(id)
    assert arrived()["method"] == "DELETE"


def test_tokens_of_a_response_are_counted_where_the_target_can(client):
    assert client.responses.input_tokens.count(model="vendor", input="x").input_tokens == 9


@translated
def test_tokens_of_a_response_are_not_counted_where_the_target_cannot(client):
    with pytest.raises(openai.BadRequestError):
        client.responses.input_tokens.count(model="chat-only", input="x")


# Messages

def test_a_plain_message(claude, claude_route):
    answer = claude.messages.create(model=claude_route, max_tokens=99, system="Answer briefly.", messages=[{"role": "user", "content": "Where?"}])
    assert answer.type == "message" and answer.content[0].text == TEXT and answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0) == 9 and answer.usage.output_tokens == 6
    assert arrived()["path"] == MESSAGES[claude_route] and answer._request_id


def test_a_streamed_message_adds_up(claude, claude_route):
    with claude.messages.stream(model=claude_route, max_tokens=99, messages=[{"role": "user", "content": "Where?"}]) as stream:
        assert "".join(stream.text_stream) == TEXT
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn" and final.usage.output_tokens == 6


def test_a_picture_in_a_message_arrives(claude, claude_route):
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    claude.messages.create(model=claude_route, max_tokens=9, messages=[{"role": "user", "content": [picture, {"type": "text", "text": "what?"}]}])
    sent = json.dumps(arrived()["request"])
    assert "iVBORw0KGgo=" in sent and "what?" in sent


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_messages(claude, claude_route, streamed):
    turns = [{"role": "user", "content": "Where is A-17?"}]
    if streamed:
        with claude.messages.stream(model=claude_route, max_tokens=99, messages=turns, tools=[CLAUDE_TOOL]) as stream:
            first = stream.get_final_message()
    else:
        first = claude.messages.create(model=claude_route, max_tokens=99, messages=turns, tools=[CLAUDE_TOOL])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use" and calls[0].input == {"order": "A-17"}
    turns += [{"role": "assistant", "content": [block.model_dump(include={"type", "id", "name", "input", "text"}, exclude_none=True) for block in first.content]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "shipped"} for call in calls]}]
    assert claude.messages.create(model=claude_route, max_tokens=99, messages=turns, tools=[CLAUDE_TOOL]).content[0].text == TEXT


def test_a_parsed_message(claude, claude_route):
    answer = claude.messages.parse(model=claude_route, max_tokens=99, messages=[{"role": "user", "content": "Where?"}], output_format=Ticket)
    assert answer.parsed_output == Ticket(category="refund", urgent=True)


def test_an_error_about_a_message_keeps_its_class(claude, claude_route):
    for text, kind in ("fail=400", anthropic.BadRequestError), ("fail=429", anthropic.RateLimitError), ("fail=500", anthropic.InternalServerError):
        with pytest.raises(kind) as caught:
            claude.messages.create(model=claude_route, max_tokens=9, messages=[{"role": "user", "content": text}])
        assert caught.value.body["type"] == "error" and caught.value.body["error"]["message"]


@pytest.mark.own
def test_the_gateways_refusals_are_in_anthropics_words(claude):
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="no-such-model", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert caught.value.body["error"]["type"] == "not_found_error" and caught.value.request_id


def test_tokens_are_counted(claude):
    counted = claude.messages.count_tokens(model="anthropic", messages=[{"role": "user", "content": "x"}])
    assert counted.input_tokens == 9


@pytest.mark.own
def test_models_are_listed_in_anthropics_form(claude):
    assert "anthropic" in [model.id for model in claude.models.list()]
    assert claude.models.retrieve("anthropic").type == "model"


@pytest.mark.own
def test_versions_and_betas_travel_to_anthropic(claude):
    ask = {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "extra_headers": {"anthropic-beta": "a-beta"}}
    claude.messages.create(model="anthropic", **ask)
    sent = arrived()["headers"]
    assert sent["anthropic-beta"] == "a-beta" and sent["anthropic-version"] and sent["x-api-key"] == "sk-ant-vendor"


@translated
def test_versions_and_betas_do_not_travel_to_others(claude):
    ask = {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "extra_headers": {"anthropic-beta": "a-beta"}}
    claude.messages.create(model="chat-only", **ask)
    assert not any(name.startswith("anthropic") for name in arrived()["headers"])


# Chat to Anthropic

@translated
def test_chat_is_answered_by_anthropic(client):
    answer = client.chat.completions.create(model="anthropic", messages=ASK)
    assert answer.choices[0].message.content == TEXT and answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 15
    assert arrived()["path"] == "/v1/messages" and arrived()["request"]["system"]
    with client.chat.completions.stream(model="anthropic", messages=ASK, tools=[TOOL]) as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"order": "A-17"}


@translated
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_of_chat_with_anthropic(client, streamed):
    turns = [{"role": "user", "content": "Where is A-17?"}]
    if streamed:
        with client.chat.completions.stream(model="anthropic", messages=turns, tools=[TOOL]) as stream:
            for _ in stream:
                pass
            first = stream.get_final_completion().choices[0]
    else:
        first = client.chat.completions.create(model="anthropic", messages=turns, tools=[TOOL]).choices[0]
    assert first.finish_reason == "tool_calls" and json.loads(first.message.tool_calls[0].function.arguments) == {"order": "A-17"}
    turns += [first.message, {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "shipped"}]
    assert client.chat.completions.create(model="anthropic", messages=turns, tools=[TOOL]).choices[0].message.content == TEXT


@translated
def test_a_parsed_chat_with_anthropic(client):
    assert client.chat.completions.parse(model="anthropic", messages=ASK, response_format=Ticket).choices[0].message.parsed.category == "refund"


@translated
def test_an_error_of_anthropics_keeps_its_class_in_chat(client):
    for text, kind in ("fail=400", openai.BadRequestError), ("fail=429", openai.RateLimitError), ("fail=500", openai.InternalServerError):
        with pytest.raises(kind):
            client.chat.completions.create(model="anthropic", messages=[{"role": "user", "content": text}])


@translated
def test_choices_are_refused_by_a_target_that_gives_one(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="anthropic", messages=ASK, n=2)
    assert caught.value.param == "n"


# The real server

@pytest.mark.real
@pytest.mark.parametrize("streamed", [False, True])
def test_a_real_server_answers_a_response(client, model, streamed):
    options = {"model": model, "input": "Where is my order?", "max_output_tokens": 24, "temperature": 0}
    if not streamed:
        answer = client.responses.create(**options)
        assert answer.output_text and answer.usage.output_tokens > 0 and answer.status in ("completed", "incomplete")
        return
    events = list(client.responses.create(stream=True, **options))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text and events[-1].type in ("response.completed", "response.incomplete") and events[-1].response.output_text == text
    assert events[-1].response.usage.output_tokens > 0


@pytest.mark.real
@pytest.mark.parametrize("streamed", [False, True])
def test_a_real_server_answers_a_message(claude, model, streamed):
    options = {"model": model, "max_tokens": 24, "messages": [{"role": "user", "content": "Where is my order?"}], "extra_body": {"temperature": 0}}
    if streamed:
        with claude.messages.stream(**options) as stream:
            answer = stream.get_final_message()
    else:
        answer = claude.messages.create(**options)
    assert answer.content[0].text and answer.stop_reason in ("end_turn", "max_tokens") and answer.usage.output_tokens > 0


@pytest.mark.real
def test_a_real_server_answers_a_completion(client, model):
    answer = client.completions.create(model=model, prompt="Once upon a time", max_tokens=8)
    assert answer.choices[0].text and answer.usage.completion_tokens > 0
    chunks = list(client.completions.create(model=model, prompt="Once upon a time", max_tokens=8, stream=True))
    assert any(choice.text for chunk in chunks for choice in chunk.choices)
