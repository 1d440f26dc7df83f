"""Where the suite runs: CROSSFADE_BASE_URL and the names of the models there.

Against a bare inference server set only CROSSFADE_BASE_URL, CROSSFADE_MODEL and, when it has its own address,
CROSSFADE_EMBEDDING_BASE_URL. CROSSFADE_GATEWAY=1 adds the cases that only a gateway can answer; it must then have a
route for every behaviour of the scripted upstream (`tests/parts/upstream.py`). `test_translate_*.py` need no server but the
translator that CROSSFADE_TRANSLATE names, and run only when it does.

CROSSFADE_SWITCHED_OFF=1 is the proof that the cases can fail: CROSSFADE_BASE_URL is then the scripted vendor itself, or the llama.cpp
server itself when CROSSFADE_UPSTREAM says `llama.cpp`; nobody translates, and each case marked `translated` must fail as its kind does
(with an error of the vendor's; by what is wrong in an answer), while the others must pass as before.
CROSSFADE_RESULTS names a file to which a line per case is added, for the sums at the end of `tests/e2e/sdk_suites.py`.
"""
import json
import os

import anthropic
import openai
import pytest

BASE_URL = os.environ.get("CROSSFADE_BASE_URL", "http://unused.invalid/v1")
GATEWAY, SWITCHED_OFF = (os.environ.get(f"CROSSFADE_{name}") == "1" for name in ("GATEWAY", "SWITCHED_OFF"))
CALLERS = {"openai": "sk-test", "azure": "azure-caller", "anthropic": "sk-ant-test"}
VENDORS = {"openai": "sk-vendor", "azure": "azure-key", "anthropic": "sk-ant-vendor"}     # what tests/parts/vendor.py asks for
KEYS = VENDORS if SWITCHED_OFF else CALLERS
SEEN = (AssertionError, KeyError, pytest.fail.Exception)         # what is wrong is in an answer, not an error
translated = pytest.mark.translated

if "CROSSFADE_TRANSLATE" not in os.environ:
    collect_ignore_glob = ["test_translate_*.py"]


def make_client(**options):
    return openai.OpenAI(**{"base_url": BASE_URL, "api_key": KEYS["openai"], "max_retries": 0, "timeout": 30, **options})


@pytest.fixture(scope="session")
def client():
    return make_client()


@pytest.fixture(scope="session")
def claude():
    return anthropic.Anthropic(base_url=BASE_URL.rstrip("/").removesuffix("/v1"), api_key=KEYS["anthropic"], max_retries=0, timeout=30)


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
    if SWITCHED_OFF:
        upstream = os.environ.get("CROSSFADE_UPSTREAM", "vendor")
        items[:] = [item for item in items if "gateway" in item.keywords and "own" not in item.keywords and upstream_of(item) == upstream]
        for item in items:
            if "translated" in item.keywords:
                seen = (openai.APIError, anthropic.APIError) + (SEEN if item.path.name in ("test_quirks.py", "test_llama.py") else ())
                item.add_marker(pytest.mark.xfail(strict=True, raises=seen, reason="nobody translates"))
    elif not GATEWAY:
        items[:] = [item for item in items if "gateway" not in item.keywords]


def upstream_of(item):
    """Who answers the case in the end."""
    if item.path.name == "test_gateway.py":
        return "scripted failures"
    return "llama.cpp" if item.path.name == "test_chat.py" or "real" in item.keywords else "vendor"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and "CROSSFADE_RESULTS" in os.environ:
        with open(os.environ["CROSSFADE_RESULTS"], "a") as results:
            results.write(json.dumps({"sdk": "Python", "upstream": upstream_of(item), "case": item.nodeid, "translated": "translated" in item.keywords,
                                      "passed": report.passed or hasattr(report, "wasxfail") and report.skipped}) + "\n")
    return report


def pytest_configure(config):
    for line in ("gateway: only a gateway can answer this", "translated: fails without a translation", "real: a real server answers",
                 "own: about what Crossfade does beside translating"):
        config.addinivalue_line("markers", line)
