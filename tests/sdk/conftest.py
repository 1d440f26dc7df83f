"""Where the suite runs: CROSSFADE_BASE_URL and the names of the models there.

Against a bare inference server set only CROSSFADE_BASE_URL, CROSSFADE_MODEL and, when it has its own address,
CROSSFADE_EMBEDDING_BASE_URL. CROSSFADE_GATEWAY=1 adds the cases that only a gateway can answer; it must then have a
route for every behaviour of the scripted upstream (`tests/parts/upstream.py`). `test_translate_*.py` need no server but the
translator that CROSSFADE_TRANSLATE names, and run only when it does.
"""
import os

import openai
import pytest

BASE_URL = os.environ.get("CROSSFADE_BASE_URL", "http://unused.invalid/v1")

if "CROSSFADE_TRANSLATE" not in os.environ:
    collect_ignore_glob = ["test_translate_*.py"]


def make_client(**options):
    return openai.OpenAI(**{"base_url": BASE_URL, "api_key": "sk-test", "max_retries": 0, "timeout": 30, **options})


@pytest.fixture(scope="session")
def client():
    return make_client()


@pytest.fixture(scope="session")
def embedding_client():
    return make_client(base_url=os.environ.get("CROSSFADE_EMBEDDING_BASE_URL", BASE_URL))


@pytest.fixture(scope="session")
def model():
    return os.environ.get("CROSSFADE_MODEL", "chat")


@pytest.fixture(scope="session")
def embedding_model():
    return os.environ.get("CROSSFADE_EMBEDDING_MODEL", "embed")


def pytest_collection_modifyitems(items):
    if os.environ.get("CROSSFADE_GATEWAY") != "1":
        items[:] = [item for item in items if "gateway" not in item.keywords]


def pytest_configure(config):
    config.addinivalue_line("markers", "gateway: only a gateway can answer this")
