"""The official Python SDK: every endpoint beside chat and embeddings, and every field of chat, through the gateway to a scripted
vendor (`tests/parts/vendor.py`) whose log says what arrived there."""
import json
import os

import openai
import pytest
from pydantic import BaseModel

from conftest import KEYS, make_client, translated
from parts.vendor import CALL, OBJECT, PIXEL, SOUND, TEXT
from test_chat import ASK, JSON_SCHEMA, TOOL

pytestmark = pytest.mark.gateway
FUNCTION = {"name": "get_order", "parameters": TOOL["function"]["parameters"]}


def vendor_log():
    with open(os.environ["CROSSFADE_VENDOR_LOG"]) as log:
        return [json.loads(line) for line in log]


def arrived():
    """What the vendor got last."""
    return vendor_log()[-1]


@pytest.mark.own
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", [
    {"n": 2}, {"logprobs": True, "top_logprobs": 1}, {"stop": "END"}, {"stop": ["a", "b"]}, {"seed": 2**53}, {"temperature": 0.1, "top_p": 0.9},
    {"presence_penalty": -2.0, "frequency_penalty": 2}, {"logit_bias": {"50256": -100}}, {"max_tokens": 7}, {"max_completion_tokens": 7},
    {"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [TOOL], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_order"}}},
    {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get_order"}}]}}},
    {"response_format": {"type": "json_object"}}, {"response_format": JSON_SCHEMA}, {"functions": [FUNCTION], "function_call": "auto"},
    {"modalities": ["text"], "prediction": {"type": "content", "content": "x"}}, {"reasoning_effort": "low", "verbosity": "low"},
    {"service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k"}, {"store": True, "metadata": {"a": "b"}}, {"user": "u-é"},
    {"web_search_options": {"search_context_size": "low"}}, {"extra_body": {"x_unknown": [{"a": None}]}}])
def test_every_field_of_a_chat_request_arrives(client, field, streamed):
    answer = client.chat.completions.create(model="vendor", messages=ASK, stream=streamed, **field)
    if streamed:
        list(answer)
    sent = arrived()["request"]
    assert sent.pop("stream_options", None) == ({"include_usage": True} if streamed else None)
    expected = {**field, **field.get("extra_body", {})}
    expected.pop("extra_body", None)
    assert sent == {"model": "gpt-4o-2024-08-06", "messages": ASK, **expected, **({"stream": streamed})}


def test_pictures_and_sound_in_messages_arrive(client):
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
             {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, {"type": "file", "file": {"file_id": "file-1"}}]
    answer = client.chat.completions.create(model="vendor", messages=[{"role": "user", "content": parts}], modalities=["text", "audio"],
                                            audio={"voice": "alloy", "format": "wav"})
    assert arrived()["request"]["messages"][0]["content"] == parts
    assert answer.choices[0].message.audio.transcript == TEXT


def test_every_field_of_a_chat_answer_comes_back(client):
    raw = client.chat.completions.with_raw_response.create(model="vendor", messages=ASK, n=2, logprobs=True, top_logprobs=1)
    answer = raw.parse()
    assert [choice.index for choice in answer.choices] == [0, 1] and answer.system_fingerprint == "fp_1" and answer.service_tier == "default"
    assert answer.choices[1].logprobs.content[0].top_logprobs[0].logprob == -0.25
    assert answer.usage.prompt_tokens_details.cached_tokens == 2 and answer.usage.completion_tokens_details.reasoning_tokens == 1
    assert raw.headers["x-ratelimit-remaining-requests"] == "9999" and raw.headers["openai-version"] and raw.request_id == "up-1"


@pytest.mark.own
def test_streams_keep_their_choices_obfuscation_and_usage(client):
    chunks = list(client.chat.completions.create(model="vendor", messages=ASK, n=2, stream=True, stream_options={"include_usage": True, "include_obfuscation": True}))
    for index in (0, 1):
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == index) == TEXT
    assert chunks[0].model_dump()["obfuscation"] and chunks[-1].usage.total_tokens == 15 and not chunks[-1].choices
    plain = list(client.chat.completions.create(model="vendor", messages=ASK, stream=True, stream_options={"include_obfuscation": False}))
    assert all(not chunk.model_dump().get("obfuscation") and chunk.usage is None and chunk.choices for chunk in plain)
    assert arrived()["request"]["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tool_calls_and_legacy_functions_come_back_whole(client, streamed):
    def final(**options):
        if not streamed:
            return client.chat.completions.create(model="vendor", messages=ASK, **options).choices[0]
        with client.chat.completions.stream(model="vendor", messages=ASK, **options) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion().choices[0]

    choice = final(tools=[TOOL])
    assert choice.finish_reason == "tool_calls" and [call.id for call in choice.message.tool_calls] == ["call_0", "call_1"]
    assert {call.function.arguments for call in choice.message.tool_calls} == {CALL["arguments"]}
    choice = final(functions=[FUNCTION])
    assert choice.finish_reason == "function_call"


class Ticket(BaseModel):
    category: str
    urgent: bool


def test_parse_gives_a_typed_answer(client):
    answer = client.chat.completions.parse(model="vendor", messages=ASK, response_format=Ticket)
    assert answer.choices[0].message.parsed == Ticket(category="refund", urgent=True)
    with client.chat.completions.stream(model="vendor", messages=ASK, response_format=Ticket) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed.category == "refund"


def test_completions_plain_and_streamed(client):
    plain = client.completions.create(model="vendor", prompt=["once", "upon"], max_tokens=9, echo=False, suffix="z")
    assert [choice.text for choice in plain.choices] == [TEXT, TEXT] and plain.usage.total_tokens == 15
    assert arrived()["request"]["prompt"] == ["once", "upon"]
    chunks = list(client.completions.create(model="vendor", prompt="once", stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT
    assert all(chunk.usage is None for chunk in chunks), "usage that nobody asked for"
    with_usage = list(client.completions.create(model="vendor", prompt="once", stream=True, stream_options={"include_usage": True}))
    assert with_usage[-1].usage.completion_tokens == 6


def test_embeddings_in_every_form(client):
    floats = client.embeddings.create(model="vendor", input=["a", "b"], encoding_format="float", dimensions=8)
    assert len(floats.data) == 2 and len(floats.data[0].embedding) == 8
    default = client.embeddings.create(model="vendor", input="a", dimensions=8)
    assert arrived()["request"]["encoding_format"] == "base64"
    assert default.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    for tokens, n in ([1, 2, 3], 1), ([[1, 2], [3]], 2):
        assert len(client.embeddings.create(model="vendor", input=tokens).data) == n
        assert arrived()["request"]["input"] == tokens


@pytest.mark.own
def test_moderations_with_and_without_a_model(client):
    assert client.moderations.create(input=["a", "b"]).results[1].flagged is False
    assert arrived()["request"] == {"input": ["a", "b"], "model": "gpt-4o-2024-08-06"}
    assert client.moderations.create(model="vendor", input="a").results[0].category_scores.violence == 0.001


def test_rerank_where_the_vendor_has_it(client):
    for path in "/rerank", "../rerank":
        answer = client.post(path, body={"model": "vendor", "query": "q", "documents": ["a", "b"]}, cast_to=object)
        assert answer["results"][0]["index"] == 1


def test_pictures_are_made_and_edited(client):
    made = client.images.generate(prompt="a cat", model="vendor", response_format="b64_json", n=1)
    assert made.data[0].b64_json == PIXEL and made.usage.output_tokens == 100
    assert client.images.edit(image=[("a.png", b"PNG1"), ("b.png", b"PNG2")], mask=b"MASK", prompt="a dog", model="vendor").data[0].b64_json == PIXEL
    assert set(arrived()["request"]["form"]) == {"image[]", "mask", "model", "prompt"}


@pytest.mark.own
def test_the_vendors_own_choice_of_a_model_is_a_route(client):
    assert client.images.create_variation(image=b"PNG").data[0].b64_json == PIXEL
    assert "model" in arrived()["request"]["form"], "the vendor's own choice is the route, and the target has its model"


def test_streamed_pictures(client):
    events = list(client.images.generate(prompt="a cat", model="vendor", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert events[-1].usage.total_tokens == 105


def test_speech_as_bytes_and_as_events(client):
    assert client.audio.speech.create(model="vendor", voice="alloy", input="hello").content == SOUND
    with client.audio.speech.with_streaming_response.create(model="vendor", voice="alloy", input="hello", response_format="wav") as answer:
        assert answer.headers["content-type"] == "audio/mpeg" and b"".join(answer.iter_bytes()) == SOUND
    assert arrived()["request"]["response_format"] == "wav"


@pytest.mark.parametrize("form", ["json", "text", "srt", "verbose_json"])
def test_transcriptions_in_every_form(client, form):
    answer = client.audio.transcriptions.create(file=("a.wav", SOUND), model="vendor", response_format=form, language="en", prompt="p")
    assert (answer if isinstance(answer, str) else answer.text).strip() == TEXT.strip()
    assert set(arrived()["request"]["form"]) == {"file", "model", "response_format", "language", "prompt"}


def test_streamed_transcriptions_and_translations(client):
    events = list(client.audio.transcriptions.create(file=("a.wav", SOUND), model="vendor", stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == TEXT and events[-1].usage.input_tokens == 14
    assert client.audio.translations.create(file=("a.wav", SOUND), model="vendor").text == TEXT


def test_files_are_kept_by_the_provider(client):
    made = client.files.create(file=("in.jsonl", b"abc"), purpose="batch")
    assert made.bytes == 3 and set(arrived()["request"]["form"]) == {"file", "purpose"}
    assert [file.id for file in client.files.list(limit=2, purpose="batch")] == ["file-1"]
    assert arrived()["query"] == "limit=2&purpose=batch" and arrived()["headers"]["authorization"] == "Bearer sk-vendor"
    assert client.files.retrieve("file-1").filename == "in.jsonl"
    assert client.files.content("file-1").content == b'{"a":1}\n\x00\xff'
    assert client.files.delete("file-1").deleted


def test_batches_uploads_and_vector_stores_are_kept_by_the_provider(client):
    batch = client.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.retrieve(batch.id).status == "in_progress" and client.batches.cancel(batch.id).status == "cancelling"
    assert len(list(client.batches.list())) == 1
    upload = client.uploads.create(bytes=3, filename="in.jsonl", mime_type="text/plain", purpose="batch")
    part = client.uploads.parts.create(upload.id, data=b"abc")
    assert client.uploads.complete(upload.id, part_ids=[part.id]).status == "completed"
    assert client.vector_stores.create(name="docs").file_counts.completed == 1
    assert client.vector_stores.search("vs_1", query="x").data[0].score == 0.9


def test_stored_completions_are_kept_by_the_provider(client):
    assert client.chat.completions.retrieve("chatcmpl-1").choices[0].message.content == TEXT
    assert client.chat.completions.update("chatcmpl-1", metadata={"a": "b"}).id == "chatcmpl-1"
    assert arrived()["request"] == {"metadata": {"a": "b"}}
    assert len(list(client.chat.completions.list())) == 1
    assert list(client.chat.completions.messages.list("chatcmpl-1"))[0].content == "hi"
    assert client.chat.completions.delete("chatcmpl-1").deleted


@pytest.mark.own
def test_what_nobody_keeps_is_not_found_and_says_so(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.list()
    assert caught.value.code == "not_passed_on" and "passthrough" in caught.value.message


@pytest.mark.own
def test_models_one_by_one(client):
    assert client.models.retrieve("vendor").id == "vendor"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize("status, kind", [(400, openai.BadRequestError), (404, openai.NotFoundError), (409, openai.ConflictError),
                                          (422, openai.UnprocessableEntityError), (429, openai.RateLimitError), (500, openai.InternalServerError)])
def test_a_vendors_errors_keep_their_class(client, status, kind):
    for ask in (lambda text: client.chat.completions.create(model="failing", messages=[{"role": "user", "content": text}]),
                lambda text: client.embeddings.create(model="failing", input=text), lambda text: client.moderations.create(model="failing", input=text)):
        with pytest.raises(kind):
            ask(f"fail={status}")


@pytest.fixture(params=["2024-10-21", None], ids=["deployments", "v1"])
def azure(request):
    host = str(make_client().base_url).rstrip("/").removesuffix("/v1")
    if request.param:
        return openai.AzureOpenAI(azure_endpoint=host, api_key=KEYS["azure"], api_version=request.param, max_retries=0)
    return make_client(base_url=host + "/openai/v1", api_key=KEYS["azure"])


@pytest.mark.parametrize("route", ["azure", *(pytest.param(route, marks=translated) for route in ("vendor", "anthropic", "chat-only"))])
def test_an_application_on_azure_is_served_by_every_target(azure, route):
    assert azure.chat.completions.create(model=route, messages=ASK).choices[0].message.content == TEXT
    chunks = azure.chat.completions.create(model=route, messages=ASK, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


@translated
def test_an_application_of_openai_is_served_by_azure(client):
    assert client.chat.completions.create(model="azure", messages=ASK).choices[0].message.content == TEXT
    chunks = client.chat.completions.create(model="azure", messages=ASK, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    parsed = client.chat.completions.parse(model="azure", messages=ASK, response_format=Ticket)
    assert parsed.choices[0].message.parsed == Ticket(category="refund", urgent=True)


@translated
@pytest.mark.parametrize("ask", [
    lambda client: client.embeddings.create(model="azure", input=["a", "b"]).data[1].embedding,
    lambda client: client.images.generate(prompt="a cat", model="azure").data[0].b64_json,
    lambda client: client.audio.transcriptions.create(file=("a.wav", SOUND), model="azure").text,
    lambda client: client.audio.translations.create(file=("a.wav", SOUND), model="azure").text], ids=["embeddings", "pictures", "transcriptions", "translations"])
def test_azures_other_endpoints_for_an_application_of_openai(client, ask):
    assert ask(client)
    assert arrived()["path"].startswith("/openai/deployments/gpt-4o/")


@pytest.mark.own
def test_azures_other_paths(azure):
    assert azure.embeddings.create(model="azure", input="a").data[0].embedding
    sent = arrived()
    assert sent["path"] == "/openai/deployments/gpt-4o/embeddings" and sent["query"] == "api-version=2025-04-01-preview"
    assert sent["headers"]["api-key"] == "azure-key" and "authorization" not in sent["headers"]
    assert azure.audio.transcriptions.create(file=("a.wav", SOUND), model="azure").text == TEXT
    assert azure.images.generate(prompt="a cat", model="azure").data[0].b64_json == PIXEL
    assert [file.id for file in azure.files.list()] == ["file-1"]
    assert "azure" in [model.id for model in azure.models.list()]
    assert azure.responses.create(model="vendor", input="hi").output_text == TEXT


def test_json_is_what_was_asked_for(client):
    answer = client.chat.completions.create(model="vendor", messages=ASK, response_format={"type": "json_object"})
    assert answer.choices[0].message.content == OBJECT
