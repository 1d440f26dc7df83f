-- Ids are the 16 bytes of a UUID of version 7: they sort by time. Times are Unix microseconds.

-- Requests whose answer has not been shipped. The only table of the record with rows that go away.
CREATE TABLE pending (
    id BLOB PRIMARY KEY,
    received_at_us INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    route TEXT NOT NULL,
    principal TEXT,
    streamed INTEGER NOT NULL,
    rollout TEXT,
    epoch INTEGER,
    share REAL,
    unit INTEGER,
    unit_source TEXT,
    arm TEXT,
    forced INTEGER,
    client_retry INTEGER NOT NULL
) WITHOUT ROWID;

-- A cost is in nano-dollars, with the id of the price row that says so; when it is not known, `cost_unknown` says why. All three are
-- NULL when nothing was charged. `usage_json` has the whole usage when there is more to it than the columns say.
CREATE TABLE exchanges (
    id BLOB PRIMARY KEY,
    received_at_us INTEGER,
    endpoint TEXT,
    route TEXT,
    principal TEXT,
    streamed INTEGER,
    rollout TEXT,
    epoch INTEGER,
    share REAL,
    unit INTEGER,
    unit_source TEXT,
    arm TEXT,
    forced INTEGER,
    client_retry INTEGER,
    finished_at_us INTEGER,
    status INTEGER,
    outcome TEXT NOT NULL,
    failure TEXT,
    served_by TEXT,
    time_to_first_token_us INTEGER,
    duration_us INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    cache_write_tokens INTEGER,
    usage_json TEXT,
    cost_nanos INTEGER,
    cost_row TEXT,
    cost_unknown TEXT,
    adaptations TEXT
) WITHOUT ROWID;
CREATE INDEX exchanges_of_rollout ON exchanges (rollout, epoch, id) WHERE rollout IS NOT NULL;

-- Calls. A shadow that was dropped before its call has a row with `dropped` and no target.
CREATE TABLE attempts (
    exchange_id BLOB NOT NULL,
    shadow INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    role TEXT NOT NULL,
    arm TEXT,
    rollout TEXT,
    epoch INTEGER,
    dropped TEXT,
    target TEXT,
    provider TEXT,
    model TEXT,
    started_us INTEGER,
    status INTEGER,
    failure TEXT,
    time_to_first_token_us INTEGER,
    duration_us INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    cache_write_tokens INTEGER,
    usage_json TEXT,
    cost_nanos INTEGER,
    cost_row TEXT,
    cost_unknown TEXT,
    finish_reason TEXT,
    format_valid INTEGER,
    schema_valid INTEGER,
    tool_calls_valid INTEGER,
    violation TEXT,
    not_validated TEXT,
    simulated INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    answer_bytes INTEGER NOT NULL,
    PRIMARY KEY (exchange_id, shadow, idx)
) WITHOUT ROWID;
CREATE INDEX shadows_of_rollout ON attempts (rollout, epoch, exchange_id) WHERE shadow = 1;

-- Costs of attempts, added up as they are shipped. `day` counts from 1970, by when the attempt began; `rollout` and `arm` are '' and
-- `epoch` is 0 outside of one. `requests` are those that count for a mean: calls that were made, not a caller's own retry, at a
-- known cost (nothing, when the provider refused). Only `known` attempts are in `nanos`.
CREATE TABLE costs (
    day INTEGER NOT NULL,
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    arm TEXT NOT NULL,
    target TEXT NOT NULL,
    role TEXT NOT NULL,
    requests INTEGER NOT NULL,
    known INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (rollout, epoch, arm, role, day, target)
) WITHOUT ROWID;

CREATE TABLE outcomes (
    exchange_id BLOB NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (exchange_id, name, source, at_us)
) WITHOUT ROWID;

-- kind: 0 request, 1 answer, 2 shadow. `data` is zstd when it is shorter than `bytes`.
CREATE TABLE bodies (
    exchange_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (exchange_id, kind)
) WITHOUT ROWID;

CREATE TABLE gaps (
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    n INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (from_us, to_us, n, reason)
) WITHOUT ROWID;

-- How far the journal has been shipped.
CREATE TABLE shipped (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    nonce INTEGER NOT NULL
);
INSERT INTO shipped VALUES (1, 0, 0, 0);

CREATE TABLE rollouts (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    state_json TEXT NOT NULL,
    policy_json TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE transitions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rollout TEXT NOT NULL,
    generation INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    from_share REAL NOT NULL,
    to_share REAL NOT NULL,
    epoch INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    evidence_json TEXT NOT NULL,
    policy_hash TEXT NOT NULL,
    UNIQUE (rollout, generation)
);

CREATE TABLE evidence (
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (rollout, epoch)
) WITHOUT ROWID;

CREATE TABLE seen_units (
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (rollout, epoch, unit)
) WITHOUT ROWID;

-- Keys of callers and operators. Of a key's text there is only its SHA-256.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    spec_json TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at_us INTEGER,
    revoked_at_us INTEGER,
    last_used_us INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX keys_not_revoked ON keys (name) WHERE revoked_at_us IS NULL;

CREATE TABLE key_secrets (
    digest BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    ends_at_us INTEGER
) WITHOUT ROWID;
CREATE INDEX secrets_of_key ON key_secrets (key);

-- Grows with every change of a key: who holds them in memory reads this one number to know whether to read them again.
CREATE TABLE keys_version (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO keys_version VALUES (1, 0);

-- What keys, tenants and routes with a budget have spent in a period, in nano-dollars. `subject` is `key:ID`, `tenant:NAME` or
-- `route:NAME`; `period` is `govern`'s number of it.
CREATE TABLE spend (
    subject TEXT PRIMARY KEY,
    period INTEGER NOT NULL,
    nanos INTEGER NOT NULL
) WITHOUT ROWID;

-- Who changed what besides rollouts, whose audit is `transitions`.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail_json TEXT NOT NULL
);
CREATE INDEX audit_of_subject ON audit (subject, number);

CREATE TRIGGER audit_keep BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER keys_keep BEFORE DELETE ON keys
BEGIN SELECT RAISE(ABORT, 'a key is revoked, never deleted'); END;
CREATE TRIGGER keys_stay_revoked BEFORE UPDATE OF revoked_at_us ON keys
WHEN OLD.revoked_at_us IS NOT NULL AND NEW.revoked_at_us IS NOT OLD.revoked_at_us
BEGIN SELECT RAISE(ABORT, 'a revoked key stays revoked'); END;
CREATE TRIGGER transitions_keep BEFORE DELETE ON transitions
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER transitions_fixed BEFORE UPDATE ON transitions
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER exchanges_fixed BEFORE UPDATE ON exchanges
BEGIN SELECT RAISE(ABORT, 'an exchange is never changed'); END;
CREATE TRIGGER attempts_fixed BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'an attempt is never changed'); END;
CREATE TRIGGER outcomes_fixed BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'an outcome is never changed'); END;
