#!/usr/bin/env python3
"""The full path on real parts: two llama.cpp servers are benchmarked in turns, evaluated, costed and reported on; the report is printed and looked at.

Then what must not be: a figure that was changed anywhere in the bundle is found and named, without its evaluations a report knows nothing, simulated answers
are in the headline, and thirty workloads take no more than six pages."""
import hashlib, io, json, os, pathlib, re, shutil, subprocess, tarfile, urllib.request

from parts.stack import ROOT, Stack, crossfade_binary, figures, gateway_config, yaml

LOAD = 12
MOST_PAGES = 6
AREAS = ["quality", "latency", "throughput", "safety", "tco"]
PRICE = {"rates": {"input": 2.5, "output": 10.0}, "source": "an example", "checked": "2026-11-26"}
LABELS = ["billing", "delivery", "device"]


def report(stack, *arguments, codes=(0,)):
    return stack.crossfade("report", *arguments, codes=codes)


def bare(stack, *arguments):
    """A verb as a person types it: exit code, what it said and what it answered."""
    done = subprocess.run([crossfade_binary(), *map(str, arguments)], cwd=stack.directory, capture_output=True, text=True)
    return done.returncode, done.stderr, done.stdout


def cases(path, n):
    schema = {"type": "object", "properties": {"topic": {"enum": LABELS}}, "required": ["topic"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "topic", "strict": True, "schema": schema}}
    with open(path, "w") as file:
        for idx in range(n):
            message = {"role": "user", "content": f"Ticket {idx}: the parcel is late. Which topic is it?"}
            request = {"messages": [message], "response_format": form, "max_tokens": 24, "temperature": 0, "seed": idx}
            file.write(json.dumps({"id": f"t{idx}", "request": request, "slices": {"urgent": "yes" if idx % 3 == 0 else "no"}}) + "\n")


def measured(say, stack):
    """The evidence: an evaluation, two benchmarks, a probe, a filed result, a worksheet and a file of outcomes."""
    cases(stack.directory / "topics.jsonl", 90)
    suite = {"file": "topics.jsonl", "targets": ["incumbent", "own"], "metrics": ["json_schema"], "margin": 0.05}
    (stack.directory / "topics.yaml").write_text(json.dumps(suite))
    verdict = stack.crossfade("eval", "run", "topics.yaml", "--run", "parity", "--concurrency", "4", codes=(0, 3, 4))["candidates"][0]["primary"]
    say("evaluation: as good on 90 cases", verdict["verdict"], verdict["verdict"] == "pass")
    common = ["--target", "own", "--input-tokens", "16", "--output-tokens", "4", "--ignore-eos", "--warm-up", "500ms", "--slo", "e2e=2500ms"]
    turns = valid(stack, "turns", "--target", "incumbent", *common, "--rate", LOAD, "--interleave", "each", "--duration", "18s", "--arrivals", "constant")
    # More than 200 requests each, so that the p99 of the client's lag is not its longest. One probe, of 73 requests and more, where the server holds it; on a machine that is too busy to measure on a search only takes long.
    most = turns if turns["verdict"] != "valid" else valid(
        stack, "most", *common, "--search", "rate", "--start", LOAD * 1.25, "--most", LOAD * 1.25, "--peak", LOAD, "--duration", "14s", "--arrivals", "constant", tries=1)
    for run in (turns, most):
        lag = max(level["client_lag"]["p99"]["value"] for level in run["levels"])
        say(f"benchmark {run['name']}", f"{run['verdict']}, the client's lag at most {lag:.2f} ms {'; '.join(run['why'])}", run["verdict"] in ("valid", "invalid"))
    bare(stack, "conformance", "own", "--config", stack.config, "-o", "probe.json")
    say("probe of the candidate", "probe.json", (stack.directory / "probe.json").exists())
    return turns, most


def live(stack, n):
    """A rollout that copies some requests to the candidate, and the result of a safety suite filed for it."""
    gateway = stack.restart_gateway()
    stack.crossfade("rollout", "start", "chat-to-own")
    for idx in range(n):
        body = {"model": "chat", "messages": [{"role": "user", "content": f"Ticket {idx}: where is it?"}], "max_tokens": 4}
        request = urllib.request.Request(f"{stack.base_url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
    stack.crossfade("rollout", "file", "chat-to-own", "--kind", "suite", "--name", "safety", "--outcome", "pass", "--digest", "0" * 64, "--cases", "300")
    gateway.stop()


def first_in_line():
    """What lets a command run before all others, where that is allowed: two servers and their client share a few processors here, and a client that has to wait for a
    server's turn is late by its own doing. The rule for what is valid is the same."""
    first = ["chrt", "--fifo", "1"]
    is_allowed = shutil.which("chrt") and subprocess.run([*first, "true"], capture_output=True).returncode == 0
    return first if is_allowed else []


def valid(stack, name, *arguments, tries=2):
    """A benchmark of which the client kept up; on a machine that others use it is tried again."""
    for attempt in range(tries):
        result = stack.crossfade("bench", "run", *arguments, "--name", f"{name}-{attempt}", codes=(0, 3, 4), before=first_in_line())
        if result["verdict"] == "valid":
            break
    return result


def worksheet(stack, name="tco.yaml"):
    """What `tco init` knows from the runs, and what only people know."""
    said = stack.crossfade("tco", "init", "--run", "parity", "-o", name)["known"]
    text = (stack.directory / name).read_text()
    known = {"tasks_per_month": "1_200_000", "review_hour": "{ value: 60, low: 40, high: 90 }", "migration": "2_000", "price_change": "0", "sampled": "0.0001",
             "sampled_minutes": "1", "escalated": "0", "escalated_minutes": "0", "fixed": "0", "on_call": "{ value: 40, low: 20, high: 80 }"}
    lines = []
    for line in text.splitlines():
        key = line.split(":")[0].strip(" #")
        if not line.lstrip().startswith("#") and "unknown" in line:
            line = re.sub(r"^(\s*name: ).*unknown.*", r"\1chat", line)
            line = line.replace("{ tasks: unknown, tokens: unknown }", "{ tasks: 0, tokens: 0 }").replace("{ share: unknown, cost: unknown }", "{ share: 0, cost: 0 }")
            line = line.replace("{ share: unknown, minimum: unknown }", "{ share: 0.01, minimum: 0 }").replace("quantity: unknown", "quantity: 4")
            line = re.sub(r"unknown", known.get(key, '{ none: "an example has none" }'), line, count=1)
        lines.append(line)
    text = "\n".join(lines) + "\n"
    text = re.sub(r"(candidate:.*?\n  gpus:)[^\n]*(\n    [^\n]*)*?(?=\n  fallback)", r"\1 { count: 1, per_hour: { value: 0.10, low: 0.08, high: 0.13 } }", text, flags=re.S)
    (stack.directory / name).write_text(text)
    return said


def outcomes(stack):
    rows = ["arm,cohort,deflected,handle_time_s,resolved"]
    for idx in range(400):
        rows.append(f"baseline,{'de' if idx % 2 else 'en'},{'yes' if idx % 2 else 'no'},{300 + idx % 9},{'yes' if idx % 3 else 'no'}")
        rows.append(f"candidate,{'de' if idx % 2 else 'en'},{'yes' if idx % 4 else 'no'},{280 + idx % 9},{'yes' if idx % 3 else 'no'}")
    (stack.directory / "outcomes.csv").write_text("\n".join(rows) + "\n")
    (stack.directory / "columns.csv").write_text("side,deflected\nbaseline,yes\n")
    (stack.directory / "arm.csv").write_text("arm,deflected\nbaseline,yes\nbaseline,no\n")


def reported(say, stack, everything):
    code, said, answer = bare(stack, "report", *everything, "--output", "r", "--config", stack.config)
    facts = json.loads((stack.directory / "r/report.json").read_text())
    move = facts["moves"][0]
    areas = {found["area"]: found["standing"] for found in move["areas"]}
    say("decision", f"{move['decision']} by {move['rule']}: {move['verdict']}", True)
    say("scorecard", areas, list(areas) == AREAS)
    return move, areas, said


def as_measured(say, move, areas, turns, most):
    """What is decided follows from what was measured; a machine that was too busy to benchmark on leaves it open, never proven."""
    is_valid = turns["verdict"] == most["verdict"] == "valid"
    if is_valid:
        say("all five areas pass, and the report says switch", move["decision"], set(areas.values()) == {"pass"} and move["decision"] == "switch")
        delta = next(delta for delta in turns["deltas"] if delta["metric"] == "e2e.intended" and delta["quantile"] == "p95")
        shown = move["latency_delta"]
        say("latency delta in turns, ms", f"{shown['value']} [{shown['low']}, {shown['high']}]", abs(shown["value"] - delta["delta_ms"]) <= 1e-4 * abs(delta["delta_ms"]) + 1e-9)
    else:
        say("FALLBACK, of a machine that others use: a benchmark that is INVALID leaves it open", move["decision"], move["decision"] == "not_enough_evidence")
    say("quality delta with its interval", move["quality_delta"]["value"], None not in (move["quality_delta"]["low"], move["quality_delta"]["high"]))
    saving = move["cost_delta"]
    say("saving with its interval", f"{saving['value']} [{saving['low']}, {saving['high']}]", 0.2 < saving["low"] <= saving["value"] <= saving["high"])
    say("gaps are those of the probe", len(move["gaps"]), move["gaps"] and "Not probed" not in move["gaps"][0])
    say("no answer is made up", move["simulated"], move["simulated"] is False)


def tampered(say, stack):
    bundle = stack.directory / "r/bundle.tar"
    code, _, answer = bare(stack, "report", "verify", "r")
    say("verifies", answer.splitlines()[0] if answer else code, code == 0)
    with tarfile.open(bundle) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive.getmembers() if member.isfile()}
    unpacked = stack.directory / "unpacked"

    def found(name, changed, with_hash):
        """Verifies the files with one changed, and its hash in the manifest too, as somebody would who wants it unseen."""
        files_now = {**files, name: changed}
        if with_hash:
            before, after = (hashlib.sha256(one).hexdigest().encode() for one in (files[name], changed))
            files_now["manifest.json"] = files["manifest.json"].replace(before, after)
        shutil.rmtree(unpacked, ignore_errors=True)
        for path, text in files_now.items():
            (unpacked / path).parent.mkdir(parents=True, exist_ok=True)
            (unpacked / path).write_bytes(text)
        return bare(stack, "report", "verify", unpacked)

    def replaced(name, old, new):
        assert old in files[name], (name, old)
        return files[name].replace(old, new, 1)

    case = next(line for line in files["rows/eval-001.csv"].splitlines()[1:])
    figure = json.loads(files["report.json"])["moves"][0]["cost_delta"]["value"]
    turns = next(name for name in sorted(files) if name.startswith("rows/bench-") and b'"delta_ms"' in files[name])
    delta = "m1.latency.delta.value" if json.loads(files[turns])["verdict"] == "valid" else "evidence"
    places = [("report.json", replaced("report.json", json.dumps(figure).encode(), b"0.99"), "m1.tco.saving.value"),
              ("report.html", replaced("report.html", b"Switch from", b"Remain with") if b"Switch from" in files["report.html"] else replaced("report.html", b"Keep", b"Move"), "report.html: line"),
              ("appendix.html", files["appendix.html"][:-40] + b" " + files["appendix.html"][-39:], "appendix.html: line"),
              ("rows/eval-001.csv", files["rows/eval-001.csv"].replace(case, re.sub(rb"1\.0$", b"0.0", case), 1), "m1.quality.delta.value"),
              (turns, re.sub(rb'"delta_ms":( ?-?)\d', rb'"delta_ms":\g<1>9', files[turns]), delta),
              ("rows/tco-001.yaml", replaced("rows/tco-001.yaml", b"value: 0.10", b"value: 0.12"), "m1.tco"),
              ("rows/filed.json", replaced("rows/filed.json", b'"passed": true', b'"passed": false'), ".standing"),
              ("rows/settings.json", replaced("rows/settings.json", b'"0.9"', b'"0.5"'), "scorecard.quality.parity")]
    for name, changed, wanted in places:
        assert changed != files[name], name
        for with_hash in (False, True):
            code, _, answer = found(name, changed, with_hash)
            says = next((line for line in answer.splitlines() if wanted in line), answer[:120])
            how = "with its hash" if with_hash else "alone"
            say(f"changed {how}: {name}", says, code == 3 and (wanted in answer or not with_hash and name in answer))
    text = bytearray(bundle.read_bytes())
    for place in range(1000, len(text), len(text) // 7):
        text[place] ^= 1
        (stack.directory / "flipped.tar").write_bytes(text)
        code, _, answer = bare(stack, "report", "verify", "flipped.tar")
        text[place] ^= 1
        say(f"one bit of the archive, at byte {place}", answer.splitlines()[0] if answer else code, code == 3 and answer)


def printed(say, stack, directory, name, code):
    """The pages of a PDF as pictures; None where no browser is."""
    path = stack.directory / directory / "report.pdf"
    if not path.exists():
        say(f"{name}: no PDF", "no browser on this machine printed it: skipped", (stack.directory / directory / "report.html").exists() and not BROWSER)
        return None
    import pypdfium2
    pdf = pypdfium2.PdfDocument(str(path))
    say(f"{name}: pages", len(pdf), 1 <= len(pdf) <= MOST_PAGES)
    texts = []
    for idx, page in enumerate(pdf):
        texts.append(re.sub(r"\s+", " ", page.get_textpage().get_text_bounded()))
        bitmap = page.render(scale=1.5)
        shades = set(bytes(bitmap.buffer)[::997])
        say(f"{name}: page {idx + 1} as a picture", f"{bitmap.width}x{bitmap.height}, {len(texts[-1])} characters", len(shades) > 1 and len(texts[-1]) > 100)
        if os.environ.get("REPORT_PICTURES"):
            picture(bitmap, pathlib.Path(os.environ["REPORT_PICTURES"]) / f"{name}-{idx + 1}.png")
    return texts


def picture(bitmap, path):
    """A PNG of a rendered page, without an imaging package."""
    import struct, zlib
    channels = bitmap.n_channels
    raw = bytes(bitmap.buffer)
    rows = b"".join(b"\0" + b"".join(raw[at + 2:at + 3] + raw[at + 1:at + 2] + raw[at:at + 1] for at in range(line, line + bitmap.width * channels, channels))
                    for line in range(0, bitmap.stride * bitmap.height, bitmap.stride))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b""))


def page_one(say, text, move):
    """What somebody reads who has seen nothing else."""
    if text is None:
        return
    # A hyphen at the end of a printed line is read as none, or as one of its own.
    plain = lambda words: re.sub(r"[`\s\-\u0002\u00ad\ufffe]+", "", words)
    for what, words in [("the decision", move["decision"].replace("_", " ").upper()), ("the verdict", move["verdict"]), ("what to do next", move["next"]),
                        ("what becomes of it alone", "If you do nothing"), ("sovereignty", "Sovereignty"), *((area, area) for area in ("Task quality", "Latency", "Throughput", "Safety", "Cost (TCO)"))]:
        say(f"page one has {what}", words[:70], plain(words).lower() in plain(text).lower())


def refusals(say, stack):
    for file, wanted in [("columns.csv", "no column `arm`"), ("arm.csv", "no row of the arm `candidate`"), ("nowhere=outcomes.csv", "names neither a workload nor a route"),
                         ("gone.csv", "cannot read gone.csv")]:
        code, said, _ = bare(stack, "report", "--outcomes", file, "--config", stack.config)
        say(f"outcomes of {file}", said.strip().splitlines()[0], code == 2 and wanted in said)


def without(say, stack, config, everything):
    """Acceptance 6: without evaluations nothing is known, and what is simulated is said to be."""
    import sqlite3
    database = sqlite3.connect(stack.directory / "report.db")
    database.execute("DELETE FROM eval_runs")
    database.commit()
    database.close()
    facts = report(stack, *everything, codes=(4,))
    move = facts["moves"][0]
    quality = move["areas"][0]
    say("evaluations deleted: decision", move["decision"], move["decision"] == "not_enough_evidence")
    say("evaluations deleted: quality", f"{quality['standing']}: {quality['settle']}", quality["standing"] == "not_run" and "crossfade eval run" in quality["settle"])
    say("evaluations deleted: no figure", move["quality_delta"]["value"], move["quality_delta"]["value"] is None)
    made_up = json.loads(json.dumps(config))
    made_up["providers"]["house"] = {"dialect": "simulated", "simulated": {"seed": 1}}
    stack.write_config(made_up)
    facts = report(stack, codes=(4,))
    say("simulated arm: headline", facts["headline"], facts["headline"].startswith("SIMULATED"))
    today, after = facts["moves"][0]["sovereignty"]
    say("simulated arm: it is nobody's own machine", after["class"], today["class"] == 1 and after["class"] in (1, None))
    code, _, answer = bare(stack, "report", "--output", "s", "--config", stack.config)
    texts = printed(say, stack, "s", "simulated", code)
    if texts:
        say("simulated arm: page one says so", texts[0][:90], "SIMULATED" in texts[0])


def many(say, stack, config, n):
    """So many workloads with all the evidence there is."""
    names = [f"workload-{idx:02}-of-a-team-with-a-long-name" for idx in range(n)]
    wide = json.loads(json.dumps(config))
    wide["routes"] = {name: {"target": "incumbent", "workload": name} for name in names}
    wide["workloads"] = {name: {"risk": ["low", "medium", "high"][idx % 3]} for idx, name in enumerate(names)}
    wide["rollouts"] = {f"to-own-{idx}": {**config["rollouts"]["chat-to-own"], "route": name} for idx, name in enumerate(names)}
    wide["report"] = {"target_load": {name: LOAD * (1 if idx % 2 else 3) for idx, name in enumerate(names)}, "scorecard": {"safety": {"required": False}}}
    stack.write_config(wide)
    dear = (stack.directory / "tco.yaml").read_text().replace("value: 0.10, low: 0.08, high: 0.13", "value: 1.00, low: 0.90, high: 1.20")
    (stack.directory / "dear.yaml").write_text(dear)
    sheets = [argument for idx, name in enumerate(names) if idx % 4 for argument in ("--tco", f"{name}={'dear' if idx % 4 == 3 else 'tco'}.yaml")]
    code, said, answer = bare(stack, "report", *sheets, "--conformance", "probe.json", "--outcomes", "outcomes.csv", "--output", f"many-{n}", "--draws", "2000", "--config", stack.config)
    say(f"{n} workloads: exit", code, code in (0, 3, 4))
    texts = printed(say, stack, f"many-{n}", f"{n} workloads", code)
    if texts:
        say(f"{n} workloads: all are on page one", sum(name[:11] in texts[0] for name in names), all(name[:11] in texts[0] for name in names))


def no_browser(say, stack):
    """The page is kept and a hint given where none is, one hangs, and one fails."""
    hangs = stack.directory / "hangs"
    hangs.write_text("#!/bin/sh\nsleep 600\n")
    hangs.chmod(0o755)
    for name, env, wanted in [("none", {"CROSSFADE_BROWSER": "", "PATH": str(stack.directory)}, "no Chromium is on PATH"), ("one that hangs", {"CROSSFADE_BROWSER": str(hangs)}, "longer than 1 s")]:
        done = subprocess.run([crossfade_binary(), "report", "--output", "h", "--pdf-timeout", "1", "--config", str(stack.config)], cwd=stack.directory, capture_output=True, text=True,
                              env={**os.environ, **env}, timeout=60)
        kept = (stack.directory / "h/report.html").exists() and not (stack.directory / "h/report.pdf").exists()
        say(f"browser: {name}", done.stderr.strip().splitlines()[0], wanted in done.stderr and "hint: " in done.stderr and kept)


def find_browser():
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"]
    return os.environ.get("CROSSFADE_BROWSER") or next((path for name in names if (path := shutil.which(name))), None)


BROWSER = find_browser()


def main():
    with figures("report") as say, Stack() as stack:
        say("browser", BROWSER or "none on PATH: the PDF is skipped; hint: apt-get install -y chromium")
        first, second = stack.llama("incumbent", seed=1, steps_back=True), stack.llama("candidate", seed=1, steps_back=True)
        targets = {"incumbent": {"provider": "vendor", "model": "incumbent", "price": PRICE}, "own": {"provider": "house", "model": "candidate", "price": PRICE}}
        providers = {"vendor": {"dialect": "openai", "base_url": first.url, "class": "vendor"}, "house": {"dialect": "openai", "base_url": second.url, "class": "self_hosted"}}
        rollout = {"route": "chat", "baseline": "incumbent", "candidate": "own", "unit": "conversation"}
        config = gateway_config(providers, targets, {"chat": {"target": "incumbent", "workload": "support"}}, workloads={"support": {"risk": "low"}},
                                rollouts={"chat-to-own": rollout}, report={"target_load": {"chat": LOAD}}) | {"store": "sqlite:./report.db"}
        stack.write_config(config)
        turns, most = measured(say, stack)
        live(stack, 20)
        for part in stack.parts:
            part.stop()
        worksheet(stack)
        outcomes(stack)
        everything = ["--tco", "chat=tco.yaml", "--conformance", "probe.json", "--outcomes", "support=outcomes.csv"]
        move, areas, said = reported(say, stack, everything)
        as_measured(say, move, areas, turns, most)
        texts = printed(say, stack, "r", "one workload", 0)
        page_one(say, texts and texts[0], move)
        tampered(say, stack)
        refusals(say, stack)
        no_browser(say, stack)
        for n in (2, 4, 8, 30):
            many(say, stack, config, n)
        stack.write_config(config)
        without(say, stack, config, everything)


if __name__ == "__main__":
    main()
