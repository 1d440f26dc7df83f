-- What code uses of vendors, and what would take their place, as it was filed: `kind` is `inventory` or `matrix`. The newest of a kind is shown.
CREATE TABLE inventories (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    names TEXT NOT NULL,
    digest TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX inventories_of_kind ON inventories (kind, number);
CREATE TRIGGER inventories_fixed BEFORE UPDATE ON inventories
BEGIN SELECT RAISE(ABORT, 'a filed inventory is never changed'); END;
-- Pages of drills.
CREATE INDEX filed_of_kind ON filed (kind, number);
