#!/usr/bin/env python3
"""Makes cases.jsonl: every question with the four passages that a retriever by words finds for it in corpus.jsonl, best first.

A real application writes down what its own retriever found; labels (`evidence`) come with the questions. A question without a document has no answer
in the corpus: its `relevance` is empty."""
import collections, json, math, pathlib, re

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = 4
SYSTEM = ("Answer from the passages below and from nothing else. Quote the words your answer rests on, and cite the passage as [1]. "
          "If the passages do not hold the answer, say: I could not find that in the documents.\n\n{{documents}}")


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def lines(name):
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def retriever(corpus):
    """BM25 (k1 1.2, b 0.75; Robertson and Zaragoza 2009)."""
    counts = {one["id"]: collections.Counter(words(one["text"])) for one in corpus}
    mean = sum(sum(count.values()) for count in counts.values()) / len(counts)
    held = collections.Counter(word for count in counts.values() for word in count)

    def score(query, count):
        def one(word):
            rarity = math.log(1 + (len(counts) - held[word] + 0.5) / (held[word] + 0.5))
            return rarity * count[word] * 2.2 / (count[word] + 1.2 * (0.25 + 0.75 * sum(count.values()) / mean))
        return sum(one(word) for word in words(query))

    return lambda query: sorted(corpus, key=lambda one: (-score(query, counts[one["id"]]), one["id"]))[:SHOWN]


def main():
    find = retriever(lines("corpus.jsonl"))
    with open(HERE / "cases.jsonl", "w") as file:
        for one in lines("questions.jsonl"):
            document = one.get("document")
            kind = "nowhere" if document is None else "other words" if one["id"].endswith("-other") else "plain"
            case = {"id": one["id"], "system": SYSTEM, "input": one["question"], "documents": find(one["question"]),
                    "cluster": document or one["id"], "slices": {"asked": kind}}
            if document is None:
                case["relevance"] = {}
            else:
                case |= {"expected": [one["answer"]], "evidence": [{"document": document, "text": one["evidence"]}]}
            file.write(json.dumps(case, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
