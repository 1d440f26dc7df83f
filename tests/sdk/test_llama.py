"""What the real llama.cpp server gets wrong, put right by the gateway that knows its kind; asked without the gateway, each fails."""
import json

import openai
import pytest

from conftest import translated
from test_chat import FIXED

pytestmark = [pytest.mark.gateway, pytest.mark.real, translated]
ENDLESS = [{"role": "user", "content": "word " * 30_000}]


def test_the_members_of_an_answer_that_the_description_requires(client, model):
    raw = client.chat.completions.with_raw_response.create(model=model, **FIXED)
    choice = json.loads(raw.text)["choices"][0]
    assert choice["logprobs"] is None and choice["message"]["refusal"] is None


@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_that_is_too_long_is_told_by_its_code(client, model, streamed):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=ENDLESS, max_tokens=4, stream=streamed)
    assert caught.value.code == "context_length_exceeded" and caught.value.type == "invalid_request_error"


def test_an_error_has_the_envelope(client, model):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], temperature="hot")
    assert set(caught.value.body) == {"message", "type", "param", "code"} and (caught.value.code is None or isinstance(caught.value.code, str))


def test_what_the_server_does_not_have_is_refused(client, model):
    function = {"name": "get_order", "parameters": {"type": "object", "properties": {}}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, functions=[function], function_call={"name": "get_order"}, **FIXED)
    assert caught.value.param == "functions"
