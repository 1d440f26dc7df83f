#!/usr/bin/env python3
"""The conformance probe on real servers, bare and through the gateway: what each does wrong is found, and through a gateway
configured as the probe advises, every one of these faults is fixed, refused or counted; none passes in silence.

Always: llama.cpp's own server, once for chat and once for embeddings. With CROSSFADE_SLOW_TESTS also the server of
llama-cpp-python, which takes ten minutes to build the first time."""
import json, os, subprocess, sys, urllib.request

from parts.stack import ROOT, Stack, crossfade_binary, figures, free_port, gateway_config

# What is known of these servers from measurements by hand, with the same engine and a model of the same size.
KNOWN = {
    "llama": {"usage_n", "keep_alive", "tool_choice_named", "tool_choice_required", "unknown_model"},
    "llama-embed": set(),
    "llama-cpp-python": {"stream_usage", "json_schema", "tools_auto", "tools_stream", "max_completion_tokens", "embeddings"},
}
KINDS = {"llama": "llama_cpp", "llama-embed": "llama_cpp", "llama-cpp-python": "llama_cpp_python"}
FAULTS = ("degraded", "none")


def probe(url, model, kind, context):
    """The report on a server."""
    command = [crossfade_binary(), "conformance", url, "--format", "json", "--kind", kind, "--model", model]
    command += ["--context", str(context)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)["report"]


def llama_cpp_python(stack):
    """The server of llama-cpp-python with the tiny model."""
    python = subprocess.run([ROOT / "scripts/llama-cpp-python"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    model = stack.directory / "tiny-1.gguf"
    port = free_port()
    part = stack.add("llama-cpp-python", [python, "-m", "llama_cpp.server", "--model", model, "--n_ctx", "2048", "--host", "127.0.0.1",
                                          "--port", str(port), "--model_alias", "llama-cpp-python", "--n_threads", "1", "--embedding", "True"])
    part.url = f"http://127.0.0.1:{port}/v1"
    return part.wait_ready(part.url + "/models", seconds=60)


def counted(admin):
    """Fields that the gateway counted a fault of."""
    with urllib.request.urlopen(admin + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    fields = set()
    for line in lines:
        if line.startswith("crossfade_adaptations_total{") and 'action="counted"' in line:
            fields.add(line.split('field="')[1].split('"')[0])
    return fields


def settled(fault, through, fields):
    """How the gateway deals with a fault: what is said of it, or None when it passes in silence."""
    row = next(row for row in through["rows"] if row["capability"] == fault["capability"])
    if row["verdict"] == "equivalent":
        return "fixed"
    evidence = {one["id"]: one for one in through["evidence"]}
    if any((evidence[id]["status"] or 0) >= 400 for id in row["evidence"]):
        return "refused"
    return "counted" if row["field"] in fields else None


def check(say, stack, name, part, context):
    kind = KINDS[name]
    bare = probe(part.url, name, kind, context)
    faults = [row for row in bare["rows"] if row["verdict"] in FAULTS]
    found = {row["capability"] for row in faults}
    say(f"{name}: faults found", len(faults))
    say(f"{name}: known faults found", f"{len(KNOWN[name] & found)} of {len(KNOWN[name])}", KNOWN[name] <= found)
    say(f"{name}: seconds", bare["took_ms"] / 1000, bare["took_ms"] <= 30_000)
    advice = {row["capability"]: row["advice"] for row in faults if row["advice"]}
    provider = {"dialect": "openai", "base_url": part.url, "kind": kind, "capabilities": advice}
    target = {"provider": name, "model": name}
    if kind == "llama_cpp_python":
        target |= {"max_concurrency": 1, "queue": {"max": 16, "timeout": "20s"}}      # it ends a stream when another request comes
    config = gateway_config({name: provider}, {name: target}, {name: {"target": name}})
    gateway = stack.gateway(config)
    through = probe(stack.base_url, name, "generic", context)
    fields = counted(stack.admin)
    gateway.stop()
    ways = {}
    for fault in faults:
        how = settled(fault, through, fields)
        say(f"{name}: {fault['capability']}: {fault['how'][:60]}", how or "SILENT", how is not None)
        ways[how] = ways.get(how, 0) + 1
    say(f"{name}: through the gateway", ", ".join(f"{how} {n}" for how, n in sorted(ways.items(), key=str)))
    return found


def main():
    slow = bool(os.environ.get("CROSSFADE_SLOW_TESTS"))
    with figures("conformance") as say, Stack() as stack:
        found = check(say, stack, "llama", stack.llama("llama", seed=1), 2048)
        found |= check(say, stack, "llama-embed", stack.llama("llama-embed", seed=1, embeddings=True), 2048)
        if slow:
            found |= check(say, stack, "llama-cpp-python", llama_cpp_python(stack), 2048)
        say("faults of all servers, each counted once", len(found), len(found) >= 14)


if __name__ == "__main__":
    main()
