"""The official Python SDK: chat completions, plain, streamed, with tools and with a JSON schema; embeddings; models."""
import json

import pytest

ASK = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Where is my order?"}]
FIXED = {"messages": ASK, "max_tokens": 24, "temperature": 0}
TOOL = {"type": "function", "function": {"name": "get_order", "description": "Finds an order.", "parameters": {
    "type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}}}
SCHEMA = {"type": "object", "additionalProperties": False, "required": ["category", "urgent"], "properties": {
    "category": {"type": "string", "enum": ["refund", "delivery", "account"]}, "urgent": {"type": "boolean"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "ticket", "strict": True, "schema": SCHEMA}}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_plain_chat_answers_with_usage(client, model):
    answer = client.chat.completions.create(model=model, **FIXED)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_chat_adds_up_to_the_plain_answer(client, model):
    plain = client.chat.completions.create(model=model, **FIXED)
    chunks = list(client.chat.completions.create(model=model, stream=True, **FIXED))
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert text_of(chunks) == plain.choices[0].message.content
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert finishes == [plain.choices[0].finish_reason]


def test_stream_without_asking_shows_no_usage(client, model):
    chunks = list(client.chat.completions.create(model=model, stream=True, **FIXED))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks), "a chunk without choices breaks callers that did not ask for usage"


def test_stream_with_include_usage_ends_with_one_usage_chunk(client, model):
    chunks = list(client.chat.completions.create(model=model, stream=True, stream_options={"include_usage": True}, **FIXED))
    with_usage = [chunk for chunk in chunks if chunk.usage]
    assert with_usage == chunks[-1:] and not chunks[-1].choices
    assert chunks[-1].usage.completion_tokens > 0


def test_stream_helper_accumulates(client, model):
    with client.chat.completions.stream(model=model, messages=ASK, max_tokens=1000) as stream:   # it refuses finish "length"
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].finish_reason == "stop"


def test_stream_with_tools_field(client, model):
    chunks = list(client.chat.completions.create(model=model, stream=True, tools=[TOOL], tool_choice="auto", **FIXED))
    assert any(chunk.choices and chunk.choices[0].finish_reason for chunk in chunks)


def test_plain_with_tools_field(client, model):
    answer = client.chat.completions.create(model=model, tools=[TOOL], tool_choice="auto", **FIXED)
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls


@pytest.mark.parametrize("streamed", [False, True])
def test_json_schema_is_enforced(client, model, streamed):
    answer = client.chat.completions.create(model=model, messages=ASK, max_tokens=200, stream=streamed, response_format=JSON_SCHEMA)
    value = json.loads(text_of(answer) if streamed else answer.choices[0].message.content)
    assert value["category"] in SCHEMA["properties"]["category"]["enum"] and isinstance(value["urgent"], bool)
    assert set(value) == {"category", "urgent"}


def test_several_choices_and_log_probabilities_pass_through(client, model):
    answer = client.chat.completions.create(model=model, logprobs=True, top_logprobs=2, **FIXED)
    assert answer.choices[0].logprobs.content[0].top_logprobs


def test_a_long_prompt_is_answered(client, model):
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "naïve café 你好 🎛️ \\u2028 \u2028 " * 30}], max_tokens=4)
    assert answer.usage.prompt_tokens > 500


def test_async_client(model):
    import asyncio
    import os
    import openai

    async def ask():
        async with openai.AsyncOpenAI(base_url=os.environ["CROSSFADE_BASE_URL"], api_key="sk-test", max_retries=0) as client:
            stream = await client.chat.completions.create(model=model, stream=True, **FIXED)
            return [chunk async for chunk in stream]

    async def ask_eight():
        return await asyncio.gather(*(ask() for _ in range(8)))

    assert all(text_of(chunks) for chunks in asyncio.run(ask_eight()))


def test_embeddings_as_floats(embedding_client, embedding_model):
    answer = embedding_client.embeddings.create(model=embedding_model, input=["one", "two"], encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1]
    assert all(len(row.embedding) == 128 for row in answer.data)
    assert answer.usage.prompt_tokens > 0


def test_embeddings_in_the_sdk_s_default_base64_are_the_same_numbers(embedding_client, embedding_model):
    floats = embedding_client.embeddings.create(model=embedding_model, input="one", encoding_format="float").data[0].embedding
    default = embedding_client.embeddings.create(model=embedding_model, input="one").data[0].embedding
    assert default == pytest.approx(floats, abs=1e-6)


def test_models_are_listed(client, model):
    page = client.models.list()
    assert model in [entry.id for entry in page.data]
    assert all(entry.object == "model" for entry in page.data)
