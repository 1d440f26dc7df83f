#!/usr/bin/env python3
"""The judge of the kill test: `kill_verdict.py CLIENT_LOG UPSTREAM_LOG RECORDS` prints figures, exits 1 on a violation.

It knows nothing of the kills: it reads what the client wrote down, what the upstream wrote down, and what
`crossfade exchanges list --format json` says (RECORDS is that output in a file).
"""
import collections, json, sys

from parts.stack import figures


def read_lines(path):
    """JSON lines; a last line cut in the middle is no line."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def read_records(path):
    rows = json.load(open(path))
    return rows["exchanges"] if isinstance(rows, dict) else rows


def main(client_log, upstream_log, records_file):
    client, upstream, records = read_lines(client_log), read_lines(upstream_log), read_records(records_file)
    acknowledged = [line for line in client if line["acknowledged"]]
    begun = [line for line in client if line["exchange_id"] and not line["acknowledged"] and line["status"] == 200]
    upstream = [line for line in upstream if line["model"] != "shadowed"]         # copies are not the client's
    got = collections.Counter(line["marker"] for line in upstream if line["what"] == "got")
    served = {line["marker"] for line in upstream if line["what"] == "served"}
    rows = collections.Counter(row["id"] for row in records)
    outcome = {row["id"]: row["outcome"] for row in records}
    client_ids = collections.Counter(line["exchange_id"] for line in client if line["exchange_id"])

    lost = [line["marker"] for line in acknowledged if line["exchange_id"] not in outcome]
    incomplete = [line["marker"] for line in acknowledged if outcome.get(line["exchange_id"], "complete") != "complete"]
    unserved = [line["marker"] for line in acknowledged if line["marker"] not in served]
    started_lost = [line["marker"] for line in begun if line["exchange_id"] not in outcome]
    # A cut exchange may be complete on record only when the upstream had said everything: the kill fell between the
    # record and the last byte. Otherwise it must show as cut.
    false_complete = [line["marker"] for line in begun
                      if outcome.get(line["exchange_id"]) == "complete" and line["marker"] not in served]
    silent = [line["marker"] for line in client if line["error"] == "ended without [DONE]"]
    hung = [line["marker"] for line in client if line["error"] == "no end after 20 s"]

    with figures("verdict") as say:
        say("exchanges the client started", len(client))
        say("acknowledged exchanges", len(acknowledged), len(acknowledged) > 0)
        say("records", len(records))
        say("acknowledged exchanges lost", f"{len(lost)} {lost[:5] or ''}", not lost)
        say("acknowledged exchanges not complete on record", f"{len(incomplete)} {incomplete[:5] or ''}", not incomplete)
        say("acknowledged exchanges the upstream never finished", len(unserved), not unserved)
        say("exchange ids recorded twice", sum(n > 1 for n in rows.values()), max(rows.values(), default=1) == 1)
        say("exchange ids given to two requests", sum(n > 1 for n in client_ids.values()), max(client_ids.values(), default=1) == 1)
        say("requests the upstream got twice", sum(n > 1 for n in got.values()), max(got.values(), default=1) == 1)
        say("cut after the first byte", len(begun))
        say("of these without a record", f"{len(started_lost)} {started_lost[:5] or ''}", not started_lost)
        say("of these on record as", dict(collections.Counter(outcome.get(line["exchange_id"], "absent") for line in begun)))
        say("of these falsely complete", f"{len(false_complete)} {false_complete[:5] or ''}", not false_complete)
        say("streams that ended cleanly without [DONE]", f"{len(silent)} {silent[:5] or ''}", not silent)
        say("exchanges without an end", f"{len(hung)} {hung[:5] or ''}", not hung)


if __name__ == "__main__":
    main(*sys.argv[1:])
