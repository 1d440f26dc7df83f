#!/usr/bin/env python3
"""The console in a real browser: a gateway with keys, simulated providers, traffic, a rollout that goes well, one whose candidate fails by plan, one to abort, and
a panel to review. tests/pages/console.test.cjs drives it; what it needs to know stands in the file that CONSOLE names."""
import json, os, pathlib, subprocess, sys, tempfile, threading, time, urllib.request

from parts.stack import ROOT, Stack, crossfade_binary, free_port, gateway_config, status_of

MARKUP = '</pre></td><script>window.owned = document.title = "owned"</script><img src="http://127.0.0.1:9/leak" onerror="window.owned = 2">'
TURNED = "\u202eturned round\u2067"
PAIRS = 20


def simulated(seed, **more):
    return {"dialect": "simulated", "simulated": {"seed": seed, "time_to_first_token": {"median": 3}, "output_tokens": {"median": 12}, **more}}


def rollout(route, candidate):
    stages = {"shadow": {"sample": 1.0, "min_duration": 0, "min_pairs": 25, "approvals": 1}, "canary": {"shares": [0.5], "min_units": 100000}, "majority": {"shares": [0.9]}}
    gates = {name: {"margin": 0.3} for name in ["error", "format", "tool_call"]}
    policy = {"warm_up": 0, "requires": [], "gates": gates, "author_may_approve": True}
    return {"route": route, "baseline": "old", "candidate": candidate, "unit": "request", "stages": stages, "policy": policy}


def config():
    # Five failures in a row would open its breaker, for longer each time, and so keep the evidence from coming.
    providers = {"old": simulated(1), "new": simulated(2), "bad": simulated(3, error_rate=0.35)}
    targets = {name: {"provider": name, "model": f"{name}-model"} for name in providers}
    names = {"good-move": ("support", "new"), "bad-move": ("billing", "bad"), "other-move": ("search", "new")}
    routes = {route: {"target": "old", "workload": "work"} for route, _ in names.values()}
    made = gateway_config(providers, targets, routes, workloads={"work": {"risk": "medium"}}, shadow={"overload": False}, auth={"required": True})
    made["vectors"] = {"listen": f"127.0.0.1:{free_port()}", "indexes": {"docs": {"store": "sqlite-vec:old.db#docs", "moves_to": {"store": "sqlite-vec:new.db#docs", "shadow": {"reads": 40, "margin": 0.1}}}}}
    made["rollouts"] = {name: rollout(*of) for name, of in names.items()}
    made["routes"]["search"]["workload"] = "finding"
    made["workloads"]["finding"] = {"risk": "low"}
    made["tco"] = {"worksheets": {"finding": "tco.yaml"}}
    return made


PROMPT = """variables:
  question: { type: string }
messages:
  - { role: system, text: You answer SAID. }
  - { role: user, text: "{{question}}" }
variants:
  short: { targets: [new], instruction: One sentence. }
tests:
  - { name: refund, with: { question: How long does a refund take? }, expect: [{ contains: thirty days }] }
  - { name: hours, with: { question: When are you open? }, expect: [{ max_length: 4000 }] }
"""
CODE = {
    "bot/ask.py": "from openai import OpenAI\nclient = OpenAI()\nclient.chat.completions.create(model='gpt-3.5-turbo-0301', messages=messages, tools=tools)\n",
    "web/find.ts": "import OpenAI from 'openai';\nconst client = new OpenAI();\nclient.embeddings.create({ model: 'text-embedding-3-small', input });\nclient.moderations.create({ input });\n",
    "CODEOWNERS": "/bot/ @support\n",
}


def before_serving(stack):
    """What other verbs leave in the store and beside it: prompts and their tests, an inventory, an index on its way."""
    run = lambda *words, codes=(0,): stack.crossfade(*words, codes=codes)
    (stack.directory / "prompts").mkdir()
    for said in ["politely", "shortly"]:
        (stack.directory / "prompts/support.yaml").write_text(PROMPT.replace("SAID", said))
        if said == "politely":
            run("prompts", "label", "support", "production", "--reason", "the first")
    run("prompts", "test", "--target", "new", codes=(0, 3))
    for path, text in CODE.items():
        (stack.directory / "shop" / path).parent.mkdir(parents=True, exist_ok=True)
        (stack.directory / "shop" / path).write_text(text)
    run("inventory", "shop", "--no-cache", "--file")
    run("inventory", "matrix", "shop", "--no-cache", "--file")
    rows = [json.dumps({"id": f"row{n}", "vector": [1, n, n * n % 7], "metadata": {"n": n}}) for n in range(20)]
    (stack.directory / "rows.jsonl").write_text("\n".join(rows))
    run("vectors", "copy", "jsonl:rows.jsonl", "sqlite-vec:old.db#docs", "--metric", "dense=cosine")
    run("vectors", "mode", "docs", "collect", "--reason", "the copy begins")
    run("vectors", "copy", "sqlite-vec:old.db#docs", "sqlite-vec:new.db#docs")
    run("vectors", "verify", "sqlite-vec:old.db#docs", "sqlite-vec:new.db#docs")
    run("vectors", "mode", "docs", "dual-write", "--reason", "it is there")


class Traffic:
    """Requests on every route until it is stopped."""

    def __init__(self, base_url, key):
        self.base_url, self.key, self.on, self.n = base_url, key, True, 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.on:
            for route in ["support", "billing", "search"]:
                self.n += 1
                hostile = f" {MARKUP} {TURNED}" if self.n % 7 == 0 else ""
                body = {"model": route, "messages": [{"role": "user", "content": f"question {self.n}{hostile}"}]}
                request = urllib.request.Request(f"{self.base_url}/chat/completions", json.dumps(body).encode(),
                                                 {"content-type": "application/json", "authorization": f"Bearer {self.key}"})
                try:
                    urllib.request.urlopen(request, timeout=20).read()
                except OSError:
                    pass
            time.sleep(0.05)

    def stop(self):
        self.on = False
        self.thread.join(30)


def main():
    with Stack() as stack:
        stack.write_config(config())
        (stack.directory / "tco.yaml").write_text((ROOT / "crates/crossfade/src/config/worksheet/right.yaml").read_text())
        cases = stack.directory / "cases.jsonl"
        cases.write_text("".join(json.dumps({"id": f"c{n}", "input": f"question {n} {MARKUP}", "expected": "yes"}) + "\n" for n in range(20)))
        make = lambda name, *more: subprocess.run([crossfade_binary(), "keys", "create", name, *more, "--config", stack.config], cwd=stack.directory, check=True,
                                                  capture_output=True, text=True).stdout.strip()
        keys = {role: make(role, "--role", role) for role in ["viewer", "operator", "approver", "admin"]}
        app = make("app")
        before_serving(stack)
        stack.restart_gateway(wait=False)
        while status_of(stack.admin + "/sign-in") != 200:
            time.sleep(0.01)
        os.environ.update(CROSSFADE_ADMIN_TOKEN=keys["admin"], CROSSFADE_ADMIN=stack.admin.removeprefix("http://"))
        traffic = Traffic(stack.base_url, app)
        shots = pathlib.Path(os.environ.get("CROSSFADE_SHOTS") or tempfile.mkdtemp(prefix="crossfade-console-"))
        shots.mkdir(parents=True, exist_ok=True)
        about = stack.directory / "console.json"
        about.write_text(json.dumps({"admin": stack.admin, "data": stack.base_url, "app": app, "cases": str(cases), "keys": keys, "pairs": PAIRS, "shots": str(shots), "binary": crossfade_binary(), "config": str(stack.config)}))
        done = subprocess.run(["node", "--test", ROOT / "tests/pages/console.test.cjs"], env={**os.environ, "CONSOLE": str(about)}, timeout=3600 if os.environ.get("CROSSFADE_SLOW_TESTS") else 600)
        traffic.stop()
        stack.keep = done.returncode != 0
        print(f"console: pictures of every screen are in {shots}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
