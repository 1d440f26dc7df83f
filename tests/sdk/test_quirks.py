"""What servers get wrong, as the official Python SDK sees it through the gateway, which is told about each and puts it right
(`tests/parts/quirks.py`). Without the gateway each of these fails."""
import json

import openai
import pytest

from conftest import translated
from parts.quirks import LEAK
from parts.vendor import CALL, TEXT
from test_chat import ASK, TOOL
from test_endpoints import arrived

pytestmark = [pytest.mark.gateway, translated]
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def ask(client, row, **options):
    return client.chat.completions.create(**{"model": f"quirk-{row}", "messages": ASK, **options})


def lines_of(client, row, **options):
    """The data of each event, as it came over the wire."""
    with client.chat.completions.with_streaming_response.create(model=f"quirk-{row}", messages=ASK, stream=True, **options) as answer:
        return [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]


def test_a_limit_under_the_name_the_server_knows(client):
    assert ask(client, "max_completion_tokens", max_completion_tokens=2).choices[0].finish_reason == "length"


def test_a_stop_as_a_list(client):
    assert ask(client, "stop_string", stop="END").choices[0].message.content == TEXT
    assert arrived()["request"]["stop"] == ["END"]


def test_a_stream_ends_with_done(client):
    assert lines_of(client, "stream_done")[-1] == "[DONE]"


def test_usage_comes_when_it_is_asked_for_and_where(client):
    chunks = list(ask(client, "stream_usage", stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    chunks = list(ask(client, "stream_usage", stream=True, stream_options={"include_usage": True}))
    assert [chunk for chunk in chunks if chunk.usage] == chunks[-1:] and not chunks[-1].choices and chunks[-1].usage.total_tokens == 15


def test_a_leaked_call_is_a_call(client):
    choice = ask(client, "tools_auto", tools=[TOOL]).choices[0]
    assert choice.finish_reason == "tool_calls" and json.loads(choice.message.tool_calls[0].function.arguments) == json.loads(CALL["arguments"])
    assert LEAK not in (choice.message.content or "")


def test_a_leaked_call_in_a_stream_is_a_call(client):
    with client.chat.completions.stream(model="quirk-tools_stream", messages=ASK, tools=[TOOL]) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls" and json.loads(choice.message.tool_calls[0].function.arguments) == json.loads(CALL["arguments"])


def test_the_finish_reason_of_a_call(client):
    assert ask(client, "tools_finish_reason", tools=[TOOL]).choices[0].finish_reason == "tool_calls"


def test_no_call_where_tools_are_forbidden(client):
    choice = ask(client, "tool_choice_none", tools=[TOOL], tool_choice="none").choices[0]
    assert choice.message.content == TEXT and not choice.message.tool_calls


@pytest.mark.parametrize("row, options", [
    ("tool_strict", {"tools": [{"type": "function", "function": {**TOOL["function"], "strict": True}}], "tool_choice": "none"}),
    ("developer_role", {"messages": [{"role": "developer", "content": "Answer briefly."}, ASK[1]]}),
    ("text_parts", {"messages": [{"role": "user", "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "my order?"}]}]}),
    ("unknown_fields", {"extra_body": {"x_nobody_knows": 1}}), ("vendor_fields", {"user": "u-1", "metadata": {"a": "b"}, "store": False}),
    ("parallel_tool_calls", {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": False}), ("reasoning_effort", {"reasoning_effort": "low"}),
    ("seed", {"seed": 7}), ("logit_bias", {"logit_bias": {"50256": -100}})])
@MODES
def test_what_a_server_refuses_is_said_otherwise_or_left_out(client, row, options, streamed):
    answer = ask(client, row, stream=streamed, **options)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices) if streamed else answer.choices[0].message.content
    assert text == TEXT


def test_a_stream_without_stream_options(client):
    chunks = ask(client, "stream_options", stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


def test_a_conversation_that_is_too_long_is_told_by_its_code(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "context_length", messages=[{"role": "user", "content": "fail=400"}])
    assert caught.value.code == "context_length_exceeded" and "context size" in caught.value.message


def test_an_error_has_the_envelope(client):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "error_envelope", messages=[{"role": "user", "content": "fail=400"}])
    assert set(caught.value.body) == {"message", "type", "param", "code"} and caught.value.message.endswith("scripted")


def test_a_stream_that_begins_with_an_error_is_an_error_with_a_status(client):
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, "stream_errors", stream=True)
    assert caught.value.status_code in (400, 502)


def test_embeddings_are_flat(client):
    answer = client.embeddings.create(model="quirk-embeddings", input=["a", "b"], encoding_format="float")
    assert all(isinstance(number, float) for one in answer.data for number in one.embedding)


def test_embeddings_in_base64(client):
    answer = client.embeddings.create(model="quirk-embeddings_base64", input="a", encoding_format="base64")
    assert isinstance(answer.data[0].embedding, str)


def test_members_that_the_description_requires(client):
    choice = json.loads(client.chat.completions.with_raw_response.create(model="quirk-answer_members", messages=ASK).text)["choices"][0]
    assert choice["logprobs"] is None and choice["message"]["refusal"] is None
