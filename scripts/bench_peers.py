"""Other load generators for scripts/bench-load: installed once from PyPI, run against a server at a URL, their whole process tree accounted for."""

import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from bench_stage import Missing, say

# What an answer takes at the server.
FIRST_MS, GAP_MS = 50, 10

VERSIONS = {"guidellm": "0.8.1", "aiperf": "0.13.0"}

# A tokenizer of single bytes, since none can be fetched on a machine without a way out: both make up prompts with one.
TOKENIZER = """
import json, pathlib, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
place = pathlib.Path(sys.argv[1])
place.mkdir(exist_ok=True)
alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
made = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
made.save(str(place / "tokenizer.json"))
(place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1000000}))
"""


def installed(name):
    """The directory of the tool's virtual environment, which is made the first time."""
    cache = pathlib.Path(os.environ.get("CROSSFADE_CACHE") or pathlib.Path.home() / ".cache" / "crossfade")
    place = cache / f"peer-{name}-{VERSIONS[name]}"
    if not (place / "bin" / name).exists():
        say(f"installing {name} {VERSIONS[name]}, once")
        shutil.rmtree(place, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        for command in ([sys.executable, "-m", "venv", place], [place / "bin" / "pip", "install", "--quiet", f"{name}=={VERSIONS[name]}"]):
            if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode:
                raise Missing(f"{name} {VERSIONS[name]} cannot be installed")
    return place


def command(name, directory, url, load, crossfade):
    """So many streams at once, requests and tokens an answer: the command, and what it wants in its environment."""
    streams, n, tokens = (str(number) for number in load)
    if name == "crossfade":
        seconds = load[1] * (FIRST_MS + (load[2] - 1) * GAP_MS) / 1e3 / load[0]
        return [crossfade, "bench", "run", "--url", f"{url}/v1", "--model", "metronome", "--concurrency", streams, "--duration", f"{seconds:.1f}s",
                "--warm-up", "0s", "--input-tokens", "64", "--output-tokens", tokens, "--output", directory / f"crossfade-{n}.json"]
    place, tokenizer = installed(name), directory / "tokenizer"
    subprocess.run([place / "bin" / "python", "-c", TOKENIZER, tokenizer], check=True, stdin=subprocess.DEVNULL)
    if name == "guidellm":
        backend = {"kind": "openai_http", "target": url, "model": "metronome", "request_format": "/v1/chat/completions"}
        words = ["--backend", json.dumps(backend), "--profile", json.dumps({"kind": "concurrent", "streams": [int(streams)]}),
                 "--constraint", json.dumps({"kind": "max_requests", "count": int(n)}),
                 "--tokenizer", json.dumps({"kind": "hf_auto", "model": str(tokenizer)}),
                 "--data", json.dumps({"kind": "synthetic_text", "prompt_tokens": 64, "output_tokens": int(tokens)}),
                 "--output", f"kind=json,path={directory / f'guidellm-{n}.json'}", "--disable-console"]
        return [place / "bin" / "guidellm", "run", *words]
    return [place / "bin" / "aiperf", "profile", "--model", "metronome", "--url", url, "--endpoint-type", "chat", "--streaming", "--concurrency", streams,
            "--request-count", n, "--tokenizer", tokenizer, "--isl", "64", "--osl", tokens, "--artifact-dir", directory / f"aiperf-{n}", "--ui", "none",
            "--no-gpu-telemetry", "--no-server-metrics"]


PR_SET_CHILD_SUBREAPER = 36


def tree(command, log, seconds=900):
    """Runs a command to its end: CPU seconds of it and of everything it started, and the most memory of all of them together (PSS, in kilobytes).

    A process between takes in what the tool leaves behind, so that nobody's time is lost.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.write(write, json.dumps(reap(command, log)).encode())
        finally:
            os._exit(0)
    os.close(write)
    most, deadline, is_over = [0], time.monotonic() + seconds, threading.Event()

    def watch():
        while not is_over.wait(0.3):
            most[0] = max(most[0], sum(map(pss_kb, below(pid))))
            if time.monotonic() > deadline:
                for each in below(pid):
                    kill(each)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    with os.fdopen(read) as said:
        found = json.loads(said.read() or "{}")
    is_over.set()
    watching.join()
    os.waitpid(pid, 0)
    if found.get("code") not in (0, 4):
        raise RuntimeError(f"{pathlib.Path(str(command[0])).name} ended with {found.get('code')}: {pathlib.Path(log).read_text()[-3000:]}")
    return {"cpu_s": found["cpu_s"], "most_kb": most[0]}


def reap(command, log):
    """Waits for the command, and for every process that lost its parent meanwhile."""
    import resource

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # aiperf 0.13 takes a directory for a name to look up when it is told that it is offline.
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if pathlib.Path(str(command[0])).name != "aiperf" else {}
    environment = {**os.environ, **offline, "TOKENIZERS_PARALLELISM": "false"}
    with open(log, "wb") as out:
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment)
    code = child.wait()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"code": code, "cpu_s": usage.ru_utime + usage.ru_stime}


def below(pid):
    """Every process below this one."""
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *below(int(child))]
    except OSError:
        pass
    return found


def pss_kb(pid):
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def kill(pid):
    try:
        os.kill(pid, 9)
    except OSError:
        pass
