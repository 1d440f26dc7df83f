#!/usr/bin/env python3
"""Two real llama.cpp servers under load, in turns; one of them killed under load with SIGKILL and started again; five cold starts; a matrix of settings;
a real server that counts no tokens."""
import json, subprocess, urllib.request

from parts.stack import ROOT, Stack, figures, free_port, gateway_config


def run(stack, *arguments, codes=(0,)):
    return stack.crossfade("bench", *arguments, codes=codes)


def in_turns(say, stack):
    first, second = stack.llama("first", seed=1), stack.llama("second", seed=1)
    targets = {"one": {"provider": "first", "model": "first"}, "two": {"provider": "second", "model": "second"}}
    stack.write_config(gateway_config({"first": first.url, "second": second.url}, targets, {"one": {"target": "one"}}) | {"store": "sqlite:./b.db"})
    # A machine that others use may make the client lag: 4, and said to be INVALID.
    result = run(stack, "run", "--target", "one", "--target", "two", "--concurrency", "2", "--duration", "6s", "--warm-up", "1s", "--block", "300ms", "--ignore-eos",
                 "--input-tokens", "24", "--output-tokens", "8", "--name", "turns", "--output", "turns.html", codes=(0, 4))
    say("verdict", result["verdict"], result["verdict"] in ("valid", "invalid"))
    for level in result["levels"]:
        say(f"{level['target']}: whole answers", level["n_good"], level["n_good"] >= 2)
        say(f"{level['target']}: tokens from", level["tokens_from"], list(level["tokens_from"]) == ["usage"])
        say(f"{level['target']}: prefill, decode ms", level["budget"], level["budget"]["prefill_ms"] and level["budget"]["decode_ms"])
    page = (stack.directory / "turns.html").read_text()
    # Of levels at which this process lagged nothing is drawn over load.
    say("page has curves", page.count("<svg"), page.count("<svg") == (4 if result["verdict"] == "valid" else 2))
    shown = run(stack, "show", "turns", codes=(0, 4))
    say("shown as it was", shown["name"], shown == result)


def killed(say, stack):
    server = subprocess.run([ROOT / "scripts/llama-server"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    port = free_port()
    command = f"{server} -m {stack.directory}/tiny-1.gguf --host 127.0.0.1 --port {port} -c 8192 -np 4 -t 1 --alias tiny --no-webui"
    url = f"http://127.0.0.1:{port}/v1"
    common = ("--url", url, "--model", "tiny", "--start", command, "--input-tokens", "16", "--output-tokens", "4")
    result = run(stack, "recovery", *common, "--rate", "8", "--before", "3s", "--down", "1s", "--after", "8s", "--name", "killed", codes=(0, 4))
    found = result["recovery"]
    say("requests that failed", f"{found['n_failed']} of {found['n_affected']}", found["n_failed"] >= 2)
    say("first good answer, s", found["first_good_s"], found["first_good_s"] is not None and found["first_good_s"] >= 1.0)
    say("steady, s", found["steady_s"], True)
    cold = run(stack, "cold-start", *common, "--starts", "5", "--requests", "6", "--name", "cold", codes=(0, 4))["cold_start"]
    order = [cold["phases"][phase]["p50"]["value"] for phase in ("1 listening", "2 health", "3 first_token", "4 steady")]
    say("listening, health, first token, steady: ms", order, None not in order and order[0] <= order[1] < order[2] <= order[3])
    say("starts", len(cold["starts"]), len(cold["starts"]) == 5)


def settings(say, stack):
    """One server with one slot and with four, started and stopped by the run."""
    server = subprocess.run([ROOT / "scripts/llama-server"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    (stack.directory / "slots.yaml").write_text(
        f"start: {server} -m {stack.directory}/tiny-1.gguf --host 127.0.0.1 --port {{port}} -c 8192 -np {{slots}} -t 1 --alias tiny --no-webui {{flags}}\n"
        "url: http://127.0.0.1:{port}/v1\nmodel: tiny\nsettings: { slots: [1, 4], flags: ['', '-b 64'] }\nskip: [{ slots: 1, flags: '-b 64' }]\nmeta: { gpu: none }\n"
        "load: { concurrency: [1, 4], duration: 3s, warm_up: 500ms, input_tokens: 24, output_tokens: 8, ignore_eos: true, slo: { e2e: 30s } }\n")
    result = run(stack, "matrix", "slots.yaml", "--output", "slots.html", codes=(0, 4))
    say("cells", [cell["label"] for cell in result["cells"]], len(result["cells"]) == 3)
    for cell in result["cells"]:
        levels = [level for level in result["levels"] if level["target"] == cell["label"]]
        say(f"{cell['label']}: state, ready ms", (cell["state"], round(cell["ready_ms"])), cell["state"] == "done" and cell["ready_ms"] > 0)
        say(f"{cell['label']}: tokens/s at 1 and 4", [round(level["out_tok_s"]) for level in levels], all(level["n_good"] > 0 for level in levels))
    # With one slot, of four at once three wait: somebody's first token is a whole answer late.
    ttft = {cell["label"]: level["latency"]["ttft.intended"]["p50"]["value"] for cell in result["cells"] for level in result["levels"]
            if level["target"] == cell["label"] and level["load"]["n"] == 4}
    say("ttft p50 at 4, one slot and four", ttft, ttft["slots=1,flags="] > ttft["slots=4,flags="])
    own = run(stack, "show", "slots/slots=4,flags=-b 64", codes=(0, 3, 4))
    say("settings are metadata", own["metadata"], own["metadata"] == {"slots": "4", "flags": "-b 64", "gpu": "none"})


def asked(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def tokens(say, stack):
    """A server whose streams never have usage (llama-cpp-python), counted by its own tokenizer, beside what llama.cpp's server makes of the same texts.
    One request at a time: this server ends a stream when another request comes."""
    python = subprocess.run([ROOT / "scripts/llama-cpp-python"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    port = free_port()
    part = stack.add("llama-cpp-python", [python, "-m", "llama_cpp.server", "--model", stack.directory / "tiny-1.gguf", "--n_ctx", "2048", "--host", "127.0.0.1",
                                          "--port", str(port), "--model_alias", "lossy", "--n_threads", "1"])
    part.url = f"http://127.0.0.1:{port}/v1"
    part.wait_ready(part.url + "/models", seconds=60)
    prompts = [f"Tell me about order {number}, please, and what {number} means." for number in range(1, 13)]
    requests = [{"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 24} for prompt in prompts]
    (stack.directory / "prompts.jsonl").write_text("".join(json.dumps(request) + "\n" for request in requests))
    result = run(stack, "run", "--url", part.url, "--model", "lossy", "--file", "prompts.jsonl", "--concurrency", "1", "--requests", len(prompts), "--warm-up",
                 "0s", "--duration", "60s", "--name", "lossy", codes=(0, 4))
    level = result["levels"][0]
    say("no usage: tokens from", level["tokens_from"], level["tokens_from"] == {"tokenize": len(prompts)})
    other = stack.llama("counts", seed=1)
    texts = [asked(part.url + "/chat/completions", {**request, "model": "lossy"})["choices"][0]["message"]["content"] for request in requests]
    root = other.url.removesuffix("/v1")
    truth = sum(len(asked(root + "/tokenize", {"content": text, "add_special": False})["tokens"]) for text in texts)
    counted = level["mean_output_tokens"] * level["n_good"]
    say("no usage: tokens counted, and by llama.cpp", (counted, truth), level["n_good"] == len(prompts) and abs(counted / truth - 1) <= 0.01)
    # The server that has both is counted twice.
    result = run(stack, "run", "--url", other.url, "--model", "counts", "--file", "prompts.jsonl", "--rate", "4", "--requests", len(prompts), "--warm-up", "0s",
                 "--duration", "60s", "--name", "twice", codes=(0, 4))
    check = result["levels"][0]["token_checks"][0]
    say("usage against tokenize", check, (check["used"], check["other"], check["n_answers"]) == ("usage", "tokenize", len(prompts)))


def main():
    with figures("benchmark") as say, Stack() as stack:
        in_turns(say, stack)
        for part in stack.parts:
            part.stop()
        killed(say, stack)
        settings(say, stack)
        tokens(say, stack)


if __name__ == "__main__":
    main()
