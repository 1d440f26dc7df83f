#!/usr/bin/env python3
"""Runs both official SDKs' suites, first against a bare llama.cpp server (is the suite right?), then through the gateway; then holds all
that the scripted vendor heard and said against the vendors' published descriptions."""
import os, subprocess, sys

from parts.stack import ROOT, Stack, free_port, gateway_config
from parts.upstream import BEHAVIOURS

SUITE = ROOT / "tests" / "sdk"


def run(title, **env):
    """The exit codes of both suites."""
    env = {**os.environ, **{name: str(value) for name, value in env.items()}}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", SUITE]
    codes = []
    for name, command in {"Python": pytest, "Node": ["node", "--test", "--test-reporter=spec", SUITE / "suite.test.cjs", SUITE / "endpoints.test.cjs"]}.items():
        print(f"== {title}: {name}", flush=True)
        try:
            codes.append(subprocess.run(command, env=env, timeout=180).returncode)
        except subprocess.TimeoutExpired:
            print(f"{name}: no end after 180 s")
            codes.append(1)
    return codes


KEPT = ("files", "uploads", "batches", "vector_stores", "stored_completions", "stored_responses")


def vendor_parts(vendor):
    """The scripted vendor in each of its forms: as OpenAI, as a server that has chat only, as Azure and as Anthropic."""
    providers = {
        "vendor": {"dialect": "openai", "base_url": vendor.url + "/v1", "api_key": "sk-vendor", "speaks": ["chat", "responses"]},
        "chat-only": {"dialect": "openai", "base_url": vendor.url + "/v1"},
        "azure": {"dialect": "azure", "base_url": vendor.url, "api_version": "2025-04-01-preview", "api_key": "azure-key"},
        "anthropic": {"dialect": "anthropic", "base_url": vendor.url, "api_key": "sk-ant-vendor"}}
    models = {"vendor": "gpt-4o-2024-08-06", "chat-only": "chat-only-1", "azure": "gpt-4o", "anthropic": "claude-opus-4-5"}
    targets = {name: {"provider": name, "model": model} for name, model in models.items()}
    targets["failing"] = targets["vendor"]             # a target of its own has a breaker of its own
    names = {name: {"target": name} for name in targets}
    return providers, targets, {**names, "omni-moderation-latest": {"target": "vendor"}, "dall-e-2": {"target": "vendor"}}


def config(baseline, candidate, embeddings, upstream, vendor):
    """Routes for the real servers, for each behaviour of the scripted upstream, for the vendor, and to a port where nobody
    listens."""
    scripted = {"dialect": "openai", "base_url": upstream.url, "timeouts": {"inter_token": "1s", "first_token": "20s"}}
    targets = {name: {"provider": name, "model": name} for name in ("baseline", "candidate", "embed")}
    routes = {"chat": {"target": "baseline"}, "candidate": {"target": "candidate"}, "embed": {"target": "embed"}}
    for behaviour in BEHAVIOURS:
        targets["scripted-" + behaviour] = {"provider": "scripted", "model": behaviour}
        routes[behaviour] = {"target": "scripted-" + behaviour}
    targets["dead"], routes["dead"] = {"provider": "dead", "model": "dead"}, {"target": "dead"}
    providers, more_targets, more_routes = vendor_parts(vendor)
    return gateway_config(
        {"baseline": baseline.url, "candidate": candidate.url, "embed": embeddings.url, "scripted": scripted,
         "dead": f"http://127.0.0.1:{free_port()}/v1", **providers}, {**targets, **more_targets}, {**routes, **more_routes},
        passthrough={name: "vendor" for name in KEPT})


def main():
    with Stack() as stack:
        baseline, candidate = stack.llama("baseline", seed=1), stack.llama("candidate", seed=2)
        embeddings, upstream = stack.llama("embed", seed=1, embeddings=True), stack.upstream()
        vendor = stack.vendor()
        codes = run("llama.cpp", CROSSFADE_BASE_URL=baseline.url, CROSSFADE_MODEL="baseline", CROSSFADE_EMBEDDING_BASE_URL=embeddings.url)
        stack.gateway(config(baseline, candidate, embeddings, upstream, vendor))
        codes += run("gateway", CROSSFADE_BASE_URL=stack.base_url, CROSSFADE_MODEL="chat", CROSSFADE_GATEWAY=1, CROSSFADE_VENDOR_LOG=vendor.journal)
        print("== the published descriptions", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", "parts.oracle", vendor.journal], timeout=120).returncode)
        stack.keep = any(codes)
    sys.exit(1 if any(codes) else 0)


if __name__ == "__main__":
    main()
