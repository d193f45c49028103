CREATE TABLE IF NOT EXISTS instruction (
    instruction_id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL,
    entitlement_id TEXT NOT NULL,
    part INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    account_commitment TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('accepted', 'returned', 'rejected', 'closed')),
    reason TEXT,
    received_at REAL NOT NULL,
    account TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- No unique index on instruction_id: the book counts what happened, so that it can bear witness against the bank too.
CREATE TABLE IF NOT EXISTS transfer (
    transfer_id INTEGER PRIMARY KEY AUTOINCREMENT,
    instruction_id TEXT NOT NULL,
    entitlement_id TEXT NOT NULL,
    part INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('credit', 'return')),
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    booked_at REAL NOT NULL
) STRICT;

-- Credits whose family has not come yet, since when.
CREATE TABLE IF NOT EXISTS untouched (
    instruction_id TEXT PRIMARY KEY,
    since REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS message (
    message_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    due_at REAL NOT NULL,
    message_id TEXT NOT NULL REFERENCES message (message_id)
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at, position);

CREATE TABLE IF NOT EXISTS consumed (
    partition INTEGER PRIMARY KEY,
    next_offset INTEGER NOT NULL
) STRICT;

-- Files taken from the outbox of the folder, each once.
CREATE TABLE IF NOT EXISTS taken_file (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Instructions the bank has received and not read yet.
CREATE TABLE IF NOT EXISTS delayed (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    due_at REAL NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS unreadable (
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (partition, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
