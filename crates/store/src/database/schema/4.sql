-- Connections that were opened to providers. A row is written when one is opened and completed when it is closed; one that stays
-- open belongs to a process that runs, or to one that died before it could say.
CREATE TABLE connections (
    opened_at_us INTEGER NOT NULL,
    local TEXT NOT NULL,
    remote TEXT NOT NULL,
    closed_at_us INTEGER,
    lane TEXT NOT NULL,
    provider TEXT NOT NULL,
    region TEXT,
    class TEXT NOT NULL,
    host TEXT NOT NULL,
    sni TEXT,
    bytes_out INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    PRIMARY KEY (opened_at_us, local, remote)
) WITHOUT ROWID;

CREATE TRIGGER connections_keep BEFORE DELETE ON connections
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER connections_fixed BEFORE UPDATE ON connections WHEN OLD.closed_at_us IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- Length of the body that was sent; 0 when no call was made, and for calls of before this column.
ALTER TABLE attempts ADD COLUMN request_bytes INTEGER NOT NULL DEFAULT 0;
