#!/usr/bin/env python3
"""Two real llama.cpp servers under load, in turns; one of them killed under load with SIGKILL and started again; five cold starts; a matrix of settings."""
import subprocess

from parts.stack import ROOT, Stack, figures, free_port, gateway_config


def run(stack, *arguments, codes=(0,)):
    return stack.crossfade("bench", *arguments, codes=codes)


def in_turns(say, stack):
    first, second = stack.llama("first", seed=1), stack.llama("second", seed=1)
    targets = {"one": {"provider": "first", "model": "first"}, "two": {"provider": "second", "model": "second"}}
    stack.write_config(gateway_config({"first": first.url, "second": second.url}, targets, {"one": {"target": "one"}}) | {"store": "sqlite:./b.db"})
    # A machine that others use may make the client lag: 4, and said to be INVALID.
    result = run(stack, "run", "--target", "one", "--target", "two", "--concurrency", "2", "--duration", "6s", "--warm-up", "1s", "--block", "300ms", "--ignore-eos",
                 "--input-tokens", "24", "--output-tokens", "8", "--name", "turns", "--out", "turns.html", codes=(0, 4))
    say("verdict", result["verdict"], result["verdict"] in ("valid", "invalid"))
    for level in result["levels"]:
        say(f"{level['target']}: whole answers", level["n_good"], level["n_good"] >= 2)
        say(f"{level['target']}: tokens from", level["tokens_from"], list(level["tokens_from"]) == ["usage"])
        say(f"{level['target']}: prefill, decode ms", level["budget"], level["budget"]["prefill_ms"] and level["budget"]["decode_ms"])
    page = (stack.directory / "turns.html").read_text()
    say("page has curves", page.count("<svg"), page.count("<svg") == 4)
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
    result = run(stack, "matrix", "slots.yaml", "--out", "slots.html", codes=(0, 4))
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


def main():
    with figures("benchmark") as say, Stack() as stack:
        in_turns(say, stack)
        for part in stack.parts:
            part.stop()
        killed(say, stack)
        settings(say, stack)


if __name__ == "__main__":
    main()
