#!/usr/bin/env python3
"""The worked example of docs/reference/evaluation.md on retrieval and answers: three simulated readers of the same passages, two with a planted fault, once more
by what a simulated judge says the passages entail; then two real rerankers.

One cites other passages than those it quotes, one answers where the passages do not say. The report has to find both, each where it is and with an
interval that holds the truth, and to blame nobody for what the other did. What the retriever missed is counted once more here, from the files.
The rerankers are llama.cpp servers with random weights, which order passages by nothing that can be said; asked directly, they give the numbers that the report has to show."""
import json, math, shutil, subprocess, sys, urllib.request

from parts.stack import ROOT, Stack, figures, gateway_config

EXAMPLE = ROOT / "examples" / "rag-qa"
# What the config plants: of answers, those that cite another passage; of questions without an answer in the passages, those that are answered.
WRONG_CITATION, UNFOUNDED = 0.4, 0.8


def counted(cases):
    """How many questions the corpus answers, and of these how many of the retrieved passages do."""
    held = [case for case in cases if "evidence" in case]
    shown = [case for case in held if case["evidence"][0]["document"] in [document["id"] for document in case["documents"]]]
    return len(held), len(shown)


def asked(url, case):
    """nDCG of the order in which a server puts a case's documents, worked out here."""
    body = {"model": "rank", "query": case["query"], "documents": [document["text"] for document in case["documents"]]}
    request = urllib.request.Request(url + "/rerank", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        results = sorted(json.load(answer)["results"], key=lambda result: -result["relevance_score"])
    gains = [case["relevance"].get(case["documents"][result["index"]]["id"], 0) for result in results]
    discounted = lambda gains: sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
    return discounted(gains) / discounted(sorted(case["relevance"].values(), reverse=True))


def entailment(say, stack):
    """The same readers by what the passages entail, as the simulated judge says it: to everything no. What no model is asked for has to come out as before."""
    report = stack.crossfade("eval", "run", stack.directory / "entailment.yaml", "--run", "entailment", "--entailment", "examiner", codes=(3,))
    of = report["entailment"]
    asked = {kind["kind"]: kind["n_questions"] for kind in of["kinds"]}
    say("entailment: questions of each kind", asked, len(asked) == 3 and all(n > 0 for n in asked.values()))
    say("entailment: calls, one for each question", of["n_calls"], of["n_calls"] == sum(asked.values()))
    say("entailment: said to be simulated", of["simulated"], of["simulated"] is True and report["simulated"] is True)
    said = {name: [target["means"][name] for target in report["targets"]] for name in ("citation_recall", "citation_precision", "groundedness")}
    say("entailment: no to everything", said, all(value == 0 for values in said.values() for value in values))
    kappas = [kind["trust"]["trusted"] for kind in of["kinds"]]
    say("entailment: untested and not trusted", kappas, not any(kappas))
    verdicts = [one["primary"]["verdict"] for one in report["candidates"]]
    say("entailment: what decides asks no model", verdicts, report["primary"] == "rag_end_to_end" and verdicts == ["fail", "fail"])


def rerankers(say, stack, cases):
    servers = {name: stack.llama(name, seed=seed, reranking=True) for name, seed in (("first", 1), ("second", 2))}
    targets = {name: {"provider": name, "model": name} for name in servers}
    config = gateway_config({name: server.url for name, server in servers.items()}, targets, {"first": {"target": "first"}})
    stack.write_config(config | {"store": "sqlite:./rerank.db"})
    queries = []
    for case in cases:
        relevant = {document["id"]: 1 for document in case["documents"] if document["id"] in [span["document"] for span in case.get("evidence", [])]}
        if relevant:
            queries.append({"id": case["id"], "query": case["input"], "documents": case["documents"], "relevance": relevant, "cluster": case["cluster"]})
    queries = queries[:24]
    (stack.directory / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    arguments = ["--file", stack.directory / "queries.jsonl", "--target", "first", "--target", "second", "--run", "rerank", "--concurrency", "1"]
    report = stack.crossfade("eval", "run", *arguments, codes=(0, 3, 4))
    say("rerankers: the metric that decides", report["primary"], report["primary"] == "ndcg_at_k")
    say("rerankers: not said to be simulated", report["simulated"], report["simulated"] is False)
    for target in report["targets"]:
        worked_out = sum(asked(servers[target["name"]].url, query) for query in queries) / len(queries)
        found = target["means"]["ndcg_at_k"]
        # A score may differ in its last digits with what else is computed at the time, and swap two that are next to each other.
        say(f"rerankers: {target['name']}: nDCG, asked directly {worked_out:.6f}", f"{found:.6f}", target["n_failed"] == 0 and abs(found - worked_out) <= 0.02)
    primary = report["candidates"][0]["primary"]
    low, high = primary["interval"]["low"], primary["interval"]["high"]
    say("rerankers: difference with its interval", f"{primary['difference']:+.4f} [{low:+.4f}, {high:+.4f}]", low <= primary["difference"] <= high)


def main():
    with figures("rag") as say, Stack() as stack:
        for name in ("crossfade.yaml", "suite.yaml", "entailment.yaml", "cases.jsonl", "corpus.jsonl", "questions.jsonl", "make_cases.py"):
            shutil.copy(EXAMPLE / name, stack.directory / name)
        before = (stack.directory / "cases.jsonl").read_text()
        subprocess.run([sys.executable, stack.directory / "make_cases.py"], check=True)
        say("cases are what make_cases.py makes", len(before.splitlines()), (stack.directory / "cases.jsonl").read_text() == before)
        cases = [json.loads(line) for line in before.splitlines()]
        n_held, n_shown = counted(cases)
        n_cases = len(before.splitlines())

        stack.config = stack.directory / "crossfade.yaml"
        report = stack.crossfade("eval", "run", stack.directory / "suite.yaml", "--run", "first", codes=(3,))
        rag = report["rag"]
        vendor, sloppy, eager = rag["targets"]
        say("said to be simulated", report["simulated"], report["simulated"] is True)
        for target in rag["targets"]:
            missed = sum(n for word, n in target["outcomes"].items() if word.startswith("missed"))
            say(f"{target['name']}: what the retriever missed", missed, missed == n_held - n_shown)
            say(f"{target['name']}: outcomes", sum(target["outcomes"].values()), sum(target["outcomes"].values()) == n_cases)
        say("vendor: cites wrongly or makes up", vendor["outcomes"].get("unsourced", 0) + vendor["outcomes"].get("made_up", 0),
            not {"unsourced", "made_up", "missed_made_up"} & set(vendor["outcomes"]))

        rows = {one["candidate"]: {row["share"]: row for row in one["rows"]} for one in rag["candidates"]}
        # What a reader without a fault answers of what was shown; the rest it abstains on.
        answered = vendor["outcomes"]["right"] / n_shown
        for name, share, truth in (("open-sloppy", "unsourced", WRONG_CITATION * answered), ("open-eager", "made_up", UNFOUNDED)):
            row = rows[name][share]
            low, high = row["interval"]["low"], row["interval"]["high"]
            say(f"{name}: {share}, planted {truth:.3f}", f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]", low <= truth <= high and low > 0)
            say(f"{name}: {share} is called worse", row["p_adjusted"], row["worse"] is True)
        for name, share in (("open-sloppy", "made_up"), ("open-sloppy", "wrong"), ("open-eager", "unsourced")):
            row = rows[name][share]
            say(f"{name}: {share} is not", row["difference"], row["worse"] is False and row["difference"] == 0)
        for name in rows:
            for share in ("retrieved", "lost_by_retriever"):
                say(f"{name}: {share} is the same", rows[name][share]["difference"], rows[name][share]["difference"] == 0)
            say(f"{name}: the model loses more", rows[name]["lost_by_model"]["difference"], rows[name]["lost_by_model"]["worse"] is True)

        for target, recall in ((vendor, 1.0), (sloppy, 1.0)):
            say(f"{target['name']}: abstains where the passages do not say", target["abstention"]["recall"], target["abstention"]["recall"] == recall)
        of = eager["abstention"]
        say("open-eager: abstains where the passages do not say", of["recall"], of["recall"] < 0.5 and of["not_held_answered"] + of["not_held_abstained"] == n_cases - n_shown)

        by_metric = {name: report["candidates"][0]["others"][name] for name in ("quote_in_source", "evidence_precision", "recall_at_k")}
        say("open-sloppy: quotes that stand where they are cited from", by_metric["quote_in_source"]["candidate"], by_metric["quote_in_source"]["difference"] < -0.2)
        say("recall@4 of the retriever", by_metric["recall_at_k"]["baseline"], abs(by_metric["recall_at_k"]["baseline"] - n_shown / n_held) < 1e-9)
        say("verdicts", [one["primary"]["verdict"] for one in report["candidates"]], all(one["primary"]["verdict"] == "fail" for one in report["candidates"]))
        entailment(say, stack)
        rerankers(say, stack, cases)


if __name__ == "__main__":
    main()
