"""The processes of a test: llama.cpp servers, the scripted upstream, the gateway; started on free ports and stopped at the end."""
import contextlib, json, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.error, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of(url, timeout=1.0):
    """The HTTP status, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def crossfade_binary():
    """`CROSSFADE_BIN`, else the debug build under the Cargo target directory."""
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    path = ROOT / os.environ.get("CROSSFADE_BIN", target / "debug" / "crossfade")
    if not path.exists():
        sys.exit(f"{path} is not there; hint: cargo build --package crossfade, or set CROSSFADE_BIN")
    return str(path)


class Part:
    """One process with its log file."""

    def __init__(self, name, command, log, **options):
        self.name, self.log = name, pathlib.Path(log)
        self.process = subprocess.Popen(command, stderr=open(self.log, "ab"), **{"stdout": subprocess.DEVNULL, **options})

    def wait_ready(self, url, seconds=20, pause=0.005):
        deadline = time.monotonic() + seconds
        while status_of(url) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not get ready (exit {self.process.poll()}):\n{self.tail()}")
            time.sleep(pause)
        return self

    def tail(self, n_bytes=3000):
        return self.log.read_bytes()[-n_bytes:].decode(errors="replace")

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Stack:
    """`with Stack() as stack:` a scratch directory and the parts started in it. Kept for inspection when the test fails."""

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="crossfade-test-"))
        self.parts, self.keep = [], False
        return self

    def __exit__(self, failure, *_):
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.stop()
        if failure is None and not self.keep:
            subprocess.run(["rm", "-rf", str(self.directory)], check=False)
        else:
            print(f"kept for inspection: {self.directory}", file=sys.stderr)

    def add(self, name, command, **options):
        part = Part(name, command, self.directory / f"{name}.log", **options)
        self.parts.append(part)
        return part

    def llama(self, name, seed, port=None, embeddings=False, reranking=False, slots=8, steps_back=False):
        """A llama.cpp server with the tiny model of `seed`; its address is `part.url` (with /v1). One that steps back leaves the processor to whoever asks for it:
        so that a client on the same machine is not late by the server's own work."""
        model = self.directory / f"tiny-{seed}.gguf"
        subprocess.run([sys.executable, ROOT / "tests/models/make_tiny_gguf.py", str(seed), model], check=True)
        server = subprocess.run([ROOT / "scripts/llama-server"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        port = port or free_port()
        extra = ["--embeddings", "--pooling", "mean"] if embeddings else ["--reranking"] if reranking else ["--jinja"]
        back = ["chrt", "--idle", "0"] if steps_back and shutil.which("chrt") else []
        part = self.add(name, [*back, server, "-m", model, "--host", "127.0.0.1", "--port", str(port), "-c", "16384", "-np", str(slots),
                               "-t", "1", "--alias", name, "--no-webui", *extra], stdout=subprocess.DEVNULL)
        part.url = f"http://127.0.0.1:{port}/v1"
        return part.wait_ready(f"http://127.0.0.1:{port}/health")

    def upstream(self, log="upstream.jsonl"):
        """The scripted upstream; its log of requests is `part.journal`."""
        journal = self.directory / log
        part = self.add("upstream", [sys.executable, "-m", "parts.upstream", "--log", journal], stdout=subprocess.PIPE,
                        cwd=ROOT / "tests")
        part.url, part.journal = f"http://127.0.0.1:{int(part.process.stdout.readline())}/v1", journal
        return part

    def vendor(self, log="vendor.jsonl"):
        """The scripted vendor; `part.url` is its host, `part.journal` its log."""
        journal = self.directory / log
        part = self.add("vendor", [sys.executable, "-m", "parts.vendor", "--log", journal], stdout=subprocess.PIPE, cwd=ROOT / "tests")
        part.url, part.journal = f"http://127.0.0.1:{int(part.process.stdout.readline())}", journal
        return part

    def gateway(self, config, **env):
        """`crossfade serve` on a config made by `gateway_config`."""
        self.write_config(config)
        return self.restart_gateway(**env)

    def write_config(self, config):
        self.config = self.directory / "crossfade.yaml"
        self.config.write_text(yaml(config))
        self.listen, self.admin = config["listen"], "http://" + config["admin"]["listen"]
        self.base_url = f"http://{self.listen}/v1"

    def restart_gateway(self, wait=True, **env):
        part = self.add("gateway", [crossfade_binary(), "serve", "--config", self.config], cwd=self.directory,
                        env={**os.environ, **env})
        return part.wait_ready(self.admin + "/ready", pause=0.002) if wait else part

    def crossfade(self, *arguments, codes=(0,), before=()):
        """Runs a verb with `--format json` and returns what it printed; any other exit code is an error. `before` is a command that runs it."""
        command = [*before, crossfade_binary(), *map(str, arguments), "--config", self.config, "--format", "json"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        if done.returncode not in codes:
            raise RuntimeError(f"{' '.join(map(str, command[1:]))}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def all_exchanges(self):
        return self.crossfade("exchanges", "list", "--limit", 1_000_000)

    def all_pairs(self):
        return self.crossfade("exchanges", "pairs", "--limit", 1_000_000)

    def exchange(self, id):
        """One exchange with its attempts, by the admin API: a process per exchange would take too long."""
        with urllib.request.urlopen(f"{self.admin}/api/exchanges/{id}", timeout=10) as answer:
            return json.load(answer)

    def rollout(self, name):
        return self.crossfade("rollout", "status", name, codes=(0, 3, 4))

    def history(self, name):
        return self.crossfade("rollout", "history", name)


def gateway_config(providers, targets, routes, **rest):
    """A crossfade.yaml as a dict, on free ports; `providers` maps a name to its base URL or its section."""
    providers = {name: value if isinstance(value, dict) else {"dialect": "openai", "base_url": value}
                 for name, value in providers.items()}
    return {"listen": f"127.0.0.1:{free_port()}", "admin": {"listen": f"127.0.0.1:{free_port()}"},
            "store": "sqlite:./crossfade.db", "providers": providers, "targets": targets, "routes": routes, **rest}


def yaml(value, indent=""):
    """Block-style YAML of dicts, lists of scalars and scalars: all that a config needs."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{indent}{key}:", yaml(item, indent + "  ").rstrip("\n")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(item)}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def figures(title):
    """Prints `title: name: value` lines and collects violations; exits 1 when there was one. Goes outside a Stack."""
    violations = []

    def say(name, value, ok=True):
        print(f"{title}: {name}: {value}{'' if ok else '   <-- VIOLATION'}", flush=True)
        if not ok:
            violations.append(name)

    yield say
    if violations:
        sys.exit(1)


__all__ = ["ROOT", "Stack", "crossfade_binary", "figures", "free_port", "gateway_config", "signal", "status_of", "yaml"]
