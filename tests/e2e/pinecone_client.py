#!/usr/bin/env python3
"""One script on an official Pinecone client against Crossfade, which only its host tells: `pinecone_client.py VERSION URL KEY INDEX`. Prints what it saw as JSON."""
import json, sys

from pinecone import Pinecone

version, url, key, name = sys.argv[1:]
is_new = int(version.split(".")[0]) >= 10
seen = {}
# Chroma gives numbers back nearly as they were.
about = lambda values: [round(value, 6) for value in values]
client = Pinecone(api_key=key, host=url)
seen["indexes"] = [index["name"] for index in client.list_indexes()]
described = client.describe_index(name)
seen["shape"] = [described.dimension, described.metric]
index = client.Index(name)
films = [("a1", [1.0, 0.0, 0.0, 0.0], {"genre": "drama", "year": 1999, "tags": ["x", "y"]}), ("a2", [0.6, 0.8, 0.0, 0.0], {"genre": "war", "year": 2010, "seen": True}),
         ("b1", [0.0, 0.0, 1.0, 0.0], {"genre": "drama", "year": 2020, "score": 7.5}), ("b/2 +&%", [0.0, 1.0, 0.0, 0.0], {"genre": "comedy"})]
seen["upserted"] = index.upsert(vectors=films, namespace="films").upserted_count
ids = lambda found: [match["id"] for match in found["matches"]]
query = [1.0, 0.0, 0.0, 0.0]
found = index.query(vector=query, top_k=2, namespace="films", include_metadata=True, include_values=True)
seen["nearest"] = [[match["id"], round(match["score"], 5), about(match["values"]), dict(match["metadata"])] for match in found["matches"]]
seen["by_id"] = ids(index.query(id="a2", top_k=1, namespace="films"))
seen["elsewhere"] = ids(index.query(vector=query, top_k=2, namespace="nowhere"))
filters = [{"genre": "drama"}, {"year": {"$gte": 2000}}, {"tags": {"$in": ["y"]}}, {"seen": {"$exists": True}}, {"$or": [{"genre": "comedy"}, {"year": {"$lt": 2000}}]}, {"genre": {"$ne": "drama"}}]
seen["filtered"] = [sorted(ids(index.query(vector=query, top_k=10, namespace="films", filter=filter))) for filter in filters]
fetched = index.fetch(ids=["b/2 +&%", "none"], namespace="films")
seen["fetched"] = {id: about(vector.values) for id, vector in fetched.vectors.items()}
index.update(id="a1", set_metadata={"year": 2000}, namespace="films")
seen["updated"] = dict(index.fetch(ids=["a1"], namespace="films").vectors["a1"].metadata)
listed = index.list_paginated(prefix="a", limit=1, namespace="films")
again = index.list_paginated(prefix="a", limit=1, namespace="films", pagination_token=listed.pagination.next)
seen["listed"] = [item["id"] for page in (listed, again) for item in page.vectors]
seen["count"] = index.describe_index_stats().namespaces["films"].vector_count
index.delete(ids=["a1"], namespace="films")
index.delete(filter={"genre": {"$eq": "war"}}, namespace="films")
seen["left"] = index.describe_index_stats().total_vector_count
index.delete(delete_all=True, namespace="films")
seen["all_gone"] = index.describe_index_stats().total_vector_count
try:
    index.query(vector=[1.0], top_k=1, namespace="films")
except Exception as error:
    seen["refused"] = "Vector dimension 1 does not match the dimension of the index 4" in str(error)
try:
    Pinecone(api_key="cf-wrong", host=url).describe_index(name)
except Exception as error:
    seen["wrong_key"] = type(error).__name__
if is_new:
    documents = index.documents
    seen["documents"] = documents.upsert(namespace="texts", documents=[{"_id": f"d{n}", "dense": vector, "n": n} for n, (_, vector, _) in enumerate(films)]).upserted_count
    found = documents.search(namespace="texts", top_k=2, score_by=[{"type": "dense_vector", "field": "dense", "values": [0.8, 0.6, 0.0, 0.0]}], include_fields=["n"], filter={"n": {"$gt": 0}})
    seen["searched"] = [[match.id, round(match.score, 5), match.n] for match in found.matches]
    documents.update(namespace="texts", documents=[{"_id": "d1", "new": "x", "_remove_fields": ["n"]}])
    one = documents.fetch(namespace="texts", ids=["d1"]).documents["d1"].to_dict()
    seen["document"] = {name: about(one[name]) if name == "dense" else one[name] for name in sorted(one)}
    seen["ids"] = [item.id for item in documents.list(namespace="texts", limit=3)]
    seen["deleted"] = documents.delete(namespace="texts", filter={"n": {"$gte": 2}}).matched_records
    documents.delete(namespace="texts", delete_all=True)
print(json.dumps(seen))
