#!/usr/bin/env python3
"""Asks LiteLLM's own proxy where its example configs send a request, and writes the answers down.

    python tests/oracles/litellm_routing.py [NAME ...]

Run it by hand when the examples or LiteLLM change: the gate installs no LiteLLM and reads `tests/fixtures/litellm/routing.json`.
It needs a Python that can `import litellm.proxy.proxy_server` (LiteLLM with its `proxy` extra). Every address in a config is
pointed at a mock on loopback, as `/at/HOST`, so that what arrives says where it would have gone; nothing leaves the machine.
"""

import http.server
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "litellm"
MASTER_KEY = "sk-1234"
# Vendors whose address LiteLLM takes from the environment when a config does not give one.
VENDORS = {
    "OPENAI_API_BASE": "api.openai.com/v1",
    "OPENAI_BASE_URL": "api.openai.com/v1",
    "ANTHROPIC_API_BASE": "api.anthropic.com",
    "GROQ_API_BASE": "api.groq.com/openai/v1",
    "OPENROUTER_API_BASE": "openrouter.ai/api/v1",
    "OLLAMA_API_BASE": "localhost:11434",
    "COHERE_API_BASE": "api.cohere.com",
    "AWS_BEDROCK_RUNTIME_ENDPOINT": "bedrock",
}
ANSWER = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m", "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE = {
    "id": "x", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}
EMBEDDING = {
    "object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.0]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}

RANKS = {"id": "x", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}}


class Mock(http.server.BaseHTTPRequestHandler):
    """Notes what arrives. A host whose name begins with `down` answers 500."""

    protocol_version = "HTTP/1.1"
    seen: list = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        host, _, path = self.path.removeprefix("/at/").partition("/")
        deployment = re.search(r"/?openai/deployments/([^/]+)/", "/" + path)
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.headers.get("x-api-key") or self.headers.get("api-key") or key
        model = deployment.group(1) if deployment else body.get("model")
        # Ollama's own API has the parameters below `options`.
        temperature = body.get("temperature", body.get("options", {}).get("temperature"))
        Mock.seen.append({"at": host, "model": model, "key": key, "temperature": temperature})
        if host.startswith("down"):
            self.answer(500, {"error": {"message": "down", "type": "server_error", "param": None, "code": None}})
        elif path.endswith("messages"):
            self.answer(200, MESSAGE)
        elif path.endswith("api/generate"):
            self.answer(200, {"model": "m", "response": "hi", "done": True, "prompt_eval_count": 1, "eval_count": 1})
        elif path.split("?")[0].endswith("embeddings"):
            self.answer(200, EMBEDDING)
        elif path.endswith("rerank"):
            self.answer(200, RANKS)
        else:
            self.answer(200, ANSWER)

    def do_GET(self):
        self.answer(200, {})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def names(text):
    """What to ask for: every name in the config, an instance of every pattern, and a name that is not there."""
    found = re.findall(r"^\s*-?\s*model_name:\s*[\"']?([^\"'\s#]+)", text, re.M)
    aliases = re.search(r"model_group_alias:((?:\n {4,}.*)+)", text)
    found += re.findall(r"^ +[\"']?([^\"':]+)[\"']?:", aliases.group(1), re.M) if aliases else []
    asked = []
    for name in found:
        name = name.replace("*", "some-model") if name != "*" else "gpt-nobody-named"
        asked += [name] if name not in asked else []
    return asked + ["no-such-model"]


def ask(port, name):
    path, body = "chat/completions", {"messages": [{"role": "user", "content": "x"}]}
    if "embed" in name:
        path, body = "embeddings", {"input": "x"}
    if "rerank" in name:
        path, body = "rerank", {"query": "x", "documents": ["x"]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{path}", json.dumps({"model": name} | body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {MASTER_KEY}"},
    )
    del Mock.seen[:]
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            status = response.status
    except urllib.error.HTTPError as error:
        status = error.code
    return {"model": name, "path": path, "answered": status == 200, "arrived": list(Mock.seen)}


def ask_often(port, text, name):
    """Once, or as often as shows every deployment that requests are spread over."""
    answer = ask(port, name)
    n_deployments = len(re.findall(rf"model_name:\s*[\"']?{re.escape(name)}[\"'\s]", text))
    # An order is no spread: LiteLLM asks the first until it fails.
    if n_deployments > 1 and "order:" not in text:
        answers = [answer] + [ask(port, name) for _ in range(60)]
        firsts = {json.dumps(answer["arrived"][0], sort_keys=True) for answer in answers}
        answer["spread"] = [json.loads(first) for first in sorted(firsts)]
        del answer["arrived"]
    return answer


def run(path, mock):
    """The answers, and of how much of the config: what needs a database or a licence keeps the whole from starting."""
    text = path.read_text()
    answers = serve(path, text, text, mock)
    if answers is not None:
        return answers, "whole"
    import yaml

    whole = yaml.safe_load(text)
    routing = {key: whole[key] for key in ("model_list", "router_settings") if key in whole}
    return serve(path, text, yaml.safe_dump(routing), mock), "model_list and router_settings"


def serve(path, text, served, mock):
    base = f"http://127.0.0.1:{mock}/at/"
    pointed = re.sub(r"https?://(?=[\w.-]+)", base, served)
    references = re.findall(r"os\.environ/(\w+)", text)
    environment = {name: f"k-{name}" for name in [*references, "OPENAI_API_KEY", "OPENROUTER_API_KEY"]}
    environment |= {name: base + name + "/v1" for name in references if name.endswith(("_API_BASE", "_BASE_URL"))}
    environment |= {name: base + host for name, host in VENDORS.items() if name not in environment}
    environment |= {"LITELLM_MASTER_KEY": MASTER_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    environment |= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "AWS_REGION": "us-east-1"}
    environment |= {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()}
    beside = pathlib.Path(importlib.util.find_spec("litellm").origin).parent / "proxy" / "example_config_yaml"
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / path.name
        config.write_text(pointed)
        for module in beside.glob("*.py"):
            (config.parent / module.name).write_text(module.read_text())
        port = free_port()
        program = str(pathlib.Path(sys.executable).with_name("litellm"))
        command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        with open(pathlib.Path(tempfile.gettempdir()) / "litellm-oracle.log", "w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
            try:
                if not ready(process, port):
                    return None
                return [ask_often(port, text, name) for name in names(text)]
            finally:
                process.terminate()
                process.wait()


def ready(process, port):
    for _ in range(180):
        if process.poll() is not None:
            return False
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2)
            return True
        except OSError:
            time.sleep(1)
    return False


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mock)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = ROOT / "routing.json"
    known = json.loads(target.read_text()) if target.exists() else {}
    known["litellm"] = importlib.metadata.version("litellm")
    for path in sorted(ROOT.glob("*.yaml")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        answers, of = run(path, server.server_port)
        print(path.stem, "does not start" if answers is None else f"{len(answers)} requests to {of}", flush=True)
        if answers is None:
            known.pop(path.stem, None)
        else:
            known[path.stem] = {"of": of, "requests": answers}
        target.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
