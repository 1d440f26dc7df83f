"""The official Python SDK: errors, timeouts, headers; most of it only a gateway can answer (its routes lead to a scripted upstream)."""
import json
import time
import urllib.error
import urllib.request

import openai
import pytest

from conftest import BASE_URL, make_client
from test_chat import ASK, FIXED

ENVELOPE = {"message", "type", "param", "code"}


def raw_post(path, body, **headers):
    """(status, headers, body) of a request that no SDK would send."""
    headers = {"content-type": "application/json", "authorization": "Bearer sk-test", **headers}
    request = urllib.request.Request(BASE_URL + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def refused(path, body):
    status, headers, body = raw_post(path, body)
    error = json.loads(body)["error"]
    assert set(error) == ENVELOPE and headers["content-type"].startswith("application/json")
    return status, error


def test_a_client_timeout_raises_timeout(model):
    """The gateway gives up just before the client does; which of them is first in a thousandth of a second is chance."""
    with pytest.raises((openai.APITimeoutError, openai.InternalServerError)) as caught:
        make_client(timeout=0.001).chat.completions.create(model=model, messages=ASK, max_tokens=500)
    assert getattr(caught.value, "status_code", 504) == 504


@pytest.mark.gateway
def test_a_slow_upstream_is_given_up_just_before_the_clients_own_timeout():
    began = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        make_client(timeout=1.0).chat.completions.create(model="slow", messages=ASK)
    assert caught.value.status_code == 504 and set(caught.value.body) == ENVELOPE
    assert time.monotonic() - began < 5


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True])
def test_an_unknown_model_is_not_found(client, streamed):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASK, stream=streamed)
    assert caught.value.code == "model_not_found" and caught.value.type == "invalid_request_error"
    assert caught.value.param == "model" and "no-such-model" in caught.value.message
    assert set(caught.value.body) == ENVELOPE


@pytest.mark.gateway
def test_an_unknown_embedding_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="no-such-model", input="one")
    assert caught.value.code == "model_not_found"


@pytest.mark.gateway
@pytest.mark.parametrize("body", [b"", b"{", b'{"model":', b"[]", b'"chat"', b'{"model": 7, "messages": []}', b'{"messages": []}',
                                  b'{"model":"chat","model":"instant","messages":[]}', b"\xff\xfe{}", b'{"model":"chat"} trailing'])
def test_a_body_that_is_not_a_request_is_a_bad_request(body):
    status, error = refused("/chat/completions", body)
    assert status == 400 and error["type"] == "invalid_request_error" and error["message"]


@pytest.mark.gateway
def test_an_unknown_path_is_not_found_and_a_wrong_method_is_not_allowed():
    status, error = refused("/no/such/path", b"{}")
    assert status == 404 and error["type"] == "invalid_request_error"
    status, _ = refused("/models", b"{}")
    assert status == 405


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True])
def test_every_answer_names_its_exchange(client, streamed):
    """One id per exchange; `_request_id` is what the SDK shows its users."""
    seen = set()
    for _ in range(3):
        raw = client.chat.completions.with_raw_response.create(model="instant", messages=ASK, stream=streamed)
        seen.add(raw.headers["x-crossfade-exchange-id"])
        assert raw.headers["x-request-id"] == raw.request_id and raw.request_id
        assert raw.headers["x-crossfade-target"]
        raw.parse().response.read() if streamed else raw.parse()
    assert len(seen) == 3


@pytest.mark.gateway
def test_a_refusal_names_its_exchange_or_origin(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASK)
    assert caught.value.response.headers["x-crossfade-origin"] and caught.value.request_id


@pytest.mark.gateway
def test_tool_calls_arrive_whole_plain_and_streamed(client):
    plain = client.chat.completions.create(model="tools", messages=ASK).choices[0].message.tool_calls[0].function
    with client.chat.completions.stream(model="tools", messages=ASK) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0].message.tool_calls[0].function
    assert plain.name == streamed.name == "get_order"
    assert json.loads(plain.arguments) == json.loads(streamed.arguments) == {"order": "A-17", "lines": [1, 2]}


@pytest.mark.gateway
@pytest.mark.parametrize("name", ["error-event", "cut"])
def test_an_upstream_that_fails_in_the_middle_of_a_stream_raises(client, name):
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=name, messages=ASK, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "two words", "what was said before the failure is delivered"


@pytest.mark.gateway
def test_an_upstream_that_stalls_raises_although_it_sends_comments(client):
    """The test's config gives this provider an inter-token timeout of one second."""
    began = time.monotonic()
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="stall", messages=ASK, stream=True))
    assert time.monotonic() - began < 5


@pytest.mark.gateway
def test_an_upstream_error_keeps_its_meaning(client):
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="error-event", messages=ASK)


@pytest.mark.gateway
def test_a_busy_upstream_is_a_rate_limit_error_with_its_advice(client):
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="busy", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "1"


@pytest.mark.gateway
def test_a_dead_upstream_is_an_error_of_the_provider(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="dead", messages=ASK)
    assert caught.value.status_code in (502, 503) and caught.value.response.headers["x-crossfade-origin"].lower() == "provider"


@pytest.mark.gateway
def test_unknown_fields_and_exact_bytes_reach_the_upstream():
    """Only the model name changes: key order, spacing, numbers and escapes are the caller's."""
    body = ('{ "messages":[{"role":"user","content":"\\u00e9\\ud83c\\udf9b \\/ 1e5"}],\n\t"seed": 12345678901234567890, '
            '"temperature":1.0e0,"x_vendor":{"b":1,"a":[ ]}, "model" : "echo"}')
    status, _, answer = raw_post("/chat/completions", body.encode())
    seen = json.loads(json.loads(answer)["choices"][0]["message"]["content"])
    assert status == 200 and seen["body"] == body


@pytest.mark.gateway
def test_the_caller_s_key_never_reaches_the_upstream(client):
    answer = client.chat.completions.create(model="echo", messages=ASK)
    assert "sk-test" not in answer.choices[0].message.content


@pytest.mark.gateway
def test_the_answer_survives_a_client_that_keeps_its_connection(model):
    """Fifty requests, streamed and not, over one connection: nothing of one answer leaks into the next."""
    with make_client() as client:
        for n in range(25):
            ask = [{"role": "user", "content": f"marker=m{n}"}]
            assert client.chat.completions.create(model="instant", messages=ask).choices[0].message.content == f"m{n} 1 2"
            chunks = list(client.chat.completions.create(model="instant", messages=ask, stream=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == f"m{n} 1 2"


@pytest.mark.gateway
def test_two_asks_of_a_greedy_model_agree(client, model):
    """The gateway adds nothing of its own to a request that would change the answer."""
    first, second = (client.chat.completions.create(model=model, **FIXED).choices[0].message.content for _ in range(2))
    assert first == second
