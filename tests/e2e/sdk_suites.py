#!/usr/bin/env python3
"""Runs the official SDKs' suites, LangChain and the Vercel AI SDK: first against a bare llama.cpp server (is the suite right?), then through
the gateway to a scripted vendor and to the real server, then without the gateway (each case that needs a translation must fail). All
that the scripted vendor heard and said by way of the gateway is held against the vendors' published descriptions."""
import json, os, subprocess, sys
from collections import Counter

from parts import quirks
from parts.stack import ROOT, Stack, free_port, gateway_config
from parts.upstream import BEHAVIOURS

SUITE = ROOT / "tests" / "sdk"
NODE = [SUITE / f"{name}.test.cjs" for name in ("suite", "endpoints", "frameworks")]


def run(title, directory, **env):
    """Runs both SDKs' suites; the cases they ran, each with whether it passed, and whether the runners were content."""
    results = directory / f"{title.replace(' ', '-')}.jsonl"
    env = {**os.environ, "CROSSFADE_RESULTS": str(results), **{name: str(value) for name, value in env.items()}}
    # Of a case that is to fail, nobody reads the traceback, and pretty ones are half of the time.
    traces = ["--tb=native"] if "CROSSFADE_SWITCHED_OFF" in env else []
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", "-W", "ignore::UserWarning",
              "-W", "ignore::DeprecationWarning", *traces, SUITE]
    is_content = True
    for name, command in {"Python": pytest, "Node": ["node", "--test", "--test-reporter=dot", *NODE]}.items():
        print(f"== {title}: {name}", flush=True)
        try:
            is_content &= subprocess.run(command, env=env, timeout=180).returncode == 0
        except subprocess.TimeoutExpired:
            print(f"{name}: no end after 180 s")
            is_content = False
    return [json.loads(line) for line in results.read_text().splitlines()], is_content


KEPT = ("files", "uploads", "batches", "vector_stores", "stored_completions", "stored_responses")


def vendor_parts(vendor):
    """The scripted vendor in each of its forms: as OpenAI, as a server that has chat only, as Azure, as Anthropic and as servers that get
    one thing wrong."""
    providers = {
        "vendor": {"dialect": "openai", "base_url": vendor.url + "/v1", "api_key": "sk-vendor", "speaks": ["chat", "responses"]},
        "chat-only": {"dialect": "openai", "base_url": vendor.url + "/v1"},
        "azure": {"dialect": "azure", "base_url": vendor.url, "api_version": "2025-04-01-preview", "api_key": "azure-key"},
        "anthropic": {"dialect": "anthropic", "base_url": vendor.url, "api_key": "sk-ant-vendor"}}
    models = {"vendor": "gpt-4o-2024-08-06", "chat-only": "chat-only-1", "azure": "gpt-4o", "anthropic": "claude-opus-4-5"}
    targets = {name: {"provider": name, "model": model} for name, model in models.items()}
    targets["failing"] = targets["vendor"]             # a target of its own has a breaker of its own
    for row, treatment in quirks.TREATED.items():
        name = f"quirk-{row}"
        providers[name] = {"dialect": "openai", "base_url": vendor.url + "/v1", **({"capabilities": {row: treatment}} if treatment else {})}
        targets[name] = {"provider": name, "model": name}
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
    real = {name: {"dialect": "openai", "base_url": server.url, "kind": "llama_cpp"} for name, server in
            {"baseline": baseline, "candidate": candidate, "embed": embeddings}.items()}
    return gateway_config(
        {**real, "scripted": scripted, "dead": f"http://127.0.0.1:{free_port()}/v1", **providers}, {**targets, **more_targets},
        {**routes, **more_routes}, passthrough={name: "vendor" for name in KEPT})


def sums(through, without):
    """One line per SDK and upstream, and whether every case passed."""
    n, passed = Counter(), Counter()
    for case in through:
        n[case["sdk"], case["upstream"]] += 1
        passed[case["sdk"], case["upstream"]] += case["passed"]
    for (sdk, upstream), n_cases in sorted(n.items()):
        print(f"sdk suites: {sdk} through Crossfade to {upstream}: {passed[sdk, upstream]} of {n_cases} cases")
    needing = {(case["sdk"], case["case"]) for case in through if case["translated"]}
    failed = {(case["sdk"], case["case"]) for case in without if case["translated"] and case["passed"]}
    print(f"sdk suites: cases that need a translation and fail without one: {len(needing & failed)} of {len(needing)}")
    for sdk, case in sorted(needing - failed):
        print(f"sdk suites: not shown to fail: {sdk}: {case}")
    print(f"sdk suites: all: {sum(passed.values())} of {sum(n.values())} cases", flush=True)
    return bool(needing) and not needing - failed and passed == n and {upstream for _, upstream in n} >= {"vendor", "llama.cpp", "scripted failures"}


def main():
    with Stack() as stack:
        baseline, candidate = stack.llama("baseline", seed=1), stack.llama("candidate", seed=2)
        embeddings, upstream = stack.llama("embed", seed=1, embeddings=True), stack.upstream()
        vendor, unheard = stack.vendor(), stack.vendor("unheard.jsonl")
        real = {"CROSSFADE_MODEL": "baseline", "CROSSFADE_EMBEDDING_BASE_URL": embeddings.url}
        _, bare = run("llama.cpp", stack.directory, CROSSFADE_BASE_URL=baseline.url, **real)
        stack.gateway(config(baseline, candidate, embeddings, upstream, vendor))
        through, passed = run("gateway", stack.directory, CROSSFADE_BASE_URL=stack.base_url, CROSSFADE_MODEL="chat", CROSSFADE_GATEWAY=1,
                              CROSSFADE_VENDOR_LOG=vendor.journal)
        off = {"CROSSFADE_SWITCHED_OFF": 1, "CROSSFADE_VENDOR_LOG": unheard.journal}
        to_vendor, failed = run("no gateway, vendor", stack.directory, CROSSFADE_BASE_URL=unheard.url + "/v1", **off)
        to_llama, failed_too = run("no gateway, llama.cpp", stack.directory, CROSSFADE_BASE_URL=baseline.url, CROSSFADE_UPSTREAM="llama.cpp", **off, **real)
        print("== the published descriptions", flush=True)
        described = subprocess.run([sys.executable, "-m", "parts.oracle", vendor.journal], timeout=120).returncode == 0
        fine = all([bare, passed, failed, failed_too, described, sums(through, to_vendor + to_llama)])
        stack.keep = not fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
