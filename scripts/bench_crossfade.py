"""How a benchmark starts `crossfade serve`: its config, its rollout, and the wait for what it has still to write."""

import json
import subprocess
import time

import bench_stage
from bench_stage import free_port, get, wait_until

# Shadow lasts days in this policy, and a broken candidate does not end it: what is measured stays as it is set here.
CONFIG = """\
listen: 127.0.0.1:{port}
admin: {{ listen: 127.0.0.1:{admin_port} }}
store: sqlite:{directory}/crossfade.db
record: {{ mode: {mode}, dir: {directory}/journal }}
shadow: {{ overload: false }}     # the load generator shares these cores
providers:
  now: {{ dialect: openai, base_url: http://{baseline}/v1, api_key: sk-bench, class: self_hosted }}
  next: {{ dialect: openai, base_url: http://{candidate}/v1, api_key: sk-bench, class: self_hosted{candidate_extra} }}{second_provider}
targets:
  now: {{ provider: now, model: mock-baseline{price} }}
  next: {{ provider: next, model: mock-candidate }}{second_target}
routes:
  bench: {{ target: now, workload: bench{limits} }}
workloads:
  bench: {{ risk: medium }}
rollouts:
  bench-to-next:
    route: bench
    baseline: now
    candidate: next
    unit: request
    stages: {{ shadow: {{ sample: {sample}, noise_duplicate: {noise} }} }}
    policy: {{ shadow_guards: false }}
{second_rollout}"""

# Another candidate of the same route, with copies, a ledger and pairs of its own.
SECOND_ROLLOUT = """\
  bench-to-second:
    route: bench
    baseline: now
    candidate: second
    unit: request
    stages: {{ shadow: {{ sample: {sample} }} }}
    policy: {{ shadow_guards: false }}
"""

# Everybody who may say no to a request: a key, its tenant and the route, each with every kind of limit. None of them says no
# here; all of them are asked, every answer is priced, and what it cost is taken from three budgets.
LIMITS = "{ requests_per_minute: 60_000_000, tokens_per_minute: 900_000_000_000, concurrency: 100_000, budget: { usd: 900_000_000, per: month } }"
CALLERS = f"auth: {{ required: true }}\ntenants: {{ bench: {{ limits: {LIMITS} }} }}\n"
KEY_LIMITS = ["--rpm", "60000000", "--tpm", "900000000000", "--concurrency", "100000", "--budget", "900000000/month", "--tenant", "bench"]
PRICE = ", price: { rates: { input: 2.5, cached: 1.25, output: 10 }, source: a benchmark, checked: 2026-11-25 }"


class Crossfade:
    """One gateway on free ports, with a rollout in shadow at `sample` (0: none started).

    `noise` of the copies also ask the baseline again; `second` is the address of another candidate that all requests are copied to.
    """

    def __init__(self, stage, binary, name, baseline, candidate, sample=0.0, mode="durable", candidate_extra="", limited=False, noise=0.0, second=None):
        self.directory = stage.directory / name
        self.directory.mkdir()
        self.sample = sample
        port, admin_port = free_port(), free_port()
        self.address, self.admin = f"127.0.0.1:{port}", f"127.0.0.1:{admin_port}"
        config = self.directory / "crossfade.yaml"
        config.write_text(
            CONFIG.format(
                port=port,
                admin_port=admin_port,
                directory=self.directory,
                mode=mode,
                baseline=baseline,
                candidate=candidate,
                candidate_extra=candidate_extra,
                sample=sample or 1.0,
                noise=noise,
                second_provider=f"\n  second: {{ dialect: openai, base_url: http://{second}/v1, api_key: sk-bench, class: self_hosted }}" if second else "",
                second_target="\n  second: { provider: second, model: mock-second }" if second else "",
                second_rollout=SECOND_ROLLOUT.format(sample=sample or 1.0) if second else "",
                price=PRICE if limited else "",
                limits=f", limits: {LIMITS}" if limited else "",
            )
            + (CALLERS if limited else "")
        )
        self.key = None
        if limited:
            made = [binary, "keys", "create", "bench", *KEY_LIMITS, "--config", str(config), "--format", "json"]
            self.key = json.loads(subprocess.run(made, capture_output=True, check=True).stdout)["key"]
        self.process = stage.start(name, [binary, "serve", "--config", config], listening=self.address)
        wait_until(f"{name} is ready", lambda: get(f"http://{self.address}/ready"))
        if sample:
            for rollout in ["bench-to-next"] + (["bench-to-second"] if second else []):
                self.ask("start", rollout)
                wait_until(f"{name} shadows", lambda: "shadow" in json.dumps(self.rollout(rollout)))

    def ask(self, verb, rollout="bench-to-next"):
        body = json.dumps({"actor": "bench", "reason": "benchmark"}).encode()
        return get(f"http://{self.admin}/api/rollouts/{rollout}/{verb}", data=body, method="POST")

    def rollout(self, rollout="bench-to-next"):
        return json.loads(get(f"http://{self.admin}/api/rollouts/{rollout}"))

    def metrics(self):
        """Every sample of /metrics as {line without value: value}."""
        values = {}
        for line in get(f"http://{self.admin}/metrics").splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                values[key] = float(value)
        return values

    def settle(self, seconds=30.0):
        """Waits until shipping and shadowing have nothing left to do: both threads idle for 0.3 s."""
        deadline = time.monotonic() + seconds
        idle_since, last = None, None
        while time.monotonic() < deadline:
            cpu = self.process.cpu()
            busy = cpu["shipping"] + cpu["shadow"] + cpu["worker"] + cpu["journal"]
            if last is not None and busy - last < 2_000_000:
                idle_since = idle_since or time.monotonic()
                if time.monotonic() - idle_since >= 0.3:
                    return True
            else:
                idle_since = None
            last = busy
            time.sleep(0.05)
        bench_stage.say(f"{self.process.name} was not idle after {seconds:.0f} s")
        return False
