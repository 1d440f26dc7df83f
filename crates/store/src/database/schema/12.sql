-- Prompts. A version is the SHA-256 of what a prompt says; `text` is the file it was read from when it was kept first.
CREATE TABLE prompt_versions (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE TRIGGER prompt_versions_fixed BEFORE UPDATE ON prompt_versions
BEGIN SELECT RAISE(ABORT, 'a version of a prompt is never changed'); END;
-- Which version a label names: the newest row. Older ones are where it was before.
CREATE TABLE prompt_labels (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    version TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    FOREIGN KEY (name, version) REFERENCES prompt_versions (name, version)
);
CREATE INDEX prompt_labels_of ON prompt_labels (name, label, number);
CREATE TRIGGER prompt_labels_fixed BEFORE UPDATE ON prompt_labels
BEGIN SELECT RAISE(ABORT, 'where a label was is never changed'); END;
