"""LangChain on the official Python SDK, unmodified: a tool loop and a structured answer, plain and streamed, by each API it speaks."""
import functools
import operator
import os
from typing import Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from conftest import BASE_URL, KEYS, translated
from parts.vendor import TEXT

pytestmark = pytest.mark.gateway
HOST = BASE_URL.rstrip("/").removesuffix("/v1")
ASK = [SystemMessage("Answer briefly."), HumanMessage("Where is order A-17?")]
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


class Ticket(BaseModel):
    """What a message is about."""
    category: str
    urgent: bool


class Sorted(BaseModel):
    """Where a message goes; nothing in it is free text, of which a tiny model finds no end."""
    category: Literal["refund", "delivery", "account"]
    urgent: bool


@tool
def get_order(order: str) -> str:
    """Finds an order."""
    return f"{order}: shipped"


def chat(route, **options):
    return ChatOpenAI(model=route, base_url=BASE_URL, api_key=KEYS["openai"], max_retries=0, timeout=30, stream_usage=True, **options)


# An application's API, and a route; which of them need a translation.
APPLICATIONS = {
    "chat-vendor": lambda: chat("vendor"), "chat-anthropic": lambda: chat("anthropic"), "chat-azure": lambda: chat("azure"),
    "responses-vendor": lambda: chat("vendor", use_responses_api=True), "responses-chat-only": lambda: chat("chat-only", use_responses_api=True),
    "responses-anthropic": lambda: chat("anthropic", use_responses_api=True),
    "azure-azure": lambda: AzureChatOpenAI(azure_endpoint=HOST, azure_deployment="azure", api_key=KEYS["azure"], api_version="2025-04-01-preview", max_retries=0, stream_usage=True),
    "azure-vendor": lambda: AzureChatOpenAI(azure_endpoint=HOST, azure_deployment="vendor", api_key=KEYS["azure"], api_version="2025-04-01-preview", max_retries=0, stream_usage=True)}
AS_IT_IS = {"chat-vendor", "responses-vendor", "azure-azure"}


@pytest.fixture(params=[name if name in AS_IT_IS else pytest.param(name, marks=translated) for name in APPLICATIONS])
def application(request):
    return APPLICATIONS[request.param]()


def answer_of(model, messages, streamed):
    return functools.reduce(operator.add, model.stream(messages)) if streamed else model.invoke(messages)


@MODES
def test_a_tool_loop(application, streamed):
    model, messages = application.bind_tools([get_order]), list(ASK)
    called = answer_of(model, messages, streamed)
    assert called.tool_calls and all((call["name"], call["args"]) == ("get_order", {"order": "A-17"}) for call in called.tool_calls)
    messages += [called, *(get_order.invoke(call) for call in called.tool_calls)]
    assert messages[-1].content == "A-17: shipped"
    final = answer_of(model, messages, streamed)
    assert final.text == TEXT and not final.tool_calls and final.usage_metadata["total_tokens"] == 15


@MODES
def test_a_structured_answer(application, streamed):
    model = application.with_structured_output(Ticket, method="json_schema")
    answer = list(model.stream(ASK))[-1] if streamed else model.invoke(ASK)
    assert answer == Ticket(category="refund", urgent=True)


def test_embeddings():
    model = OpenAIEmbeddings(model="vendor", base_url=BASE_URL, api_key=KEYS["openai"], check_embedding_ctx_length=False)
    assert len(model.embed_documents(["one", "two"])) == 2


@pytest.mark.real
@MODES
def test_a_structured_answer_of_a_real_server(streamed):
    """The model is too small to mean anything; that the server keeps it to the schema is seen all the same."""
    model = chat(os.environ.get("CROSSFADE_MODEL", "chat"), max_tokens=300).with_structured_output(Sorted, method="json_schema", strict=True)
    answer = list(model.stream(ASK))[-1] if streamed else model.invoke(ASK)
    assert isinstance(answer, Sorted)
