-- Where copies of vectors keep their journals: what a run did stands in its directory, not here. `kind` is `copy` or `reembed`.
CREATE TABLE vector_runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    directory TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    at_us INTEGER NOT NULL
);
