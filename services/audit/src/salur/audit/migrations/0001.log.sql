-- The log's rows: index, marks and rows move in one transaction; tiles derive from rows.

CREATE TABLE log_state (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    size       bigint NOT NULL DEFAULT 0
);
INSERT INTO log_state DEFAULT VALUES;

-- One leaf per record. `stream` and `sequence` are empty for records of outside topics.
CREATE TABLE entry (
    leaf_index bigint PRIMARY KEY,
    leaf         bytea NOT NULL,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    kafka_offset bigint NOT NULL,
    stream       text,
    sequence     bigint,
    event_id     text,
    type         text,
    subject      text,
    event_time   text
);
CREATE UNIQUE INDEX entry_stream ON entry (stream, sequence) WHERE stream IS NOT NULL;
CREATE INDEX entry_event ON entry (event_id) WHERE event_id IS NOT NULL;

CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Bytes of outside records, sealed apart from the log; the leaf holds a salted commitment.
CREATE TABLE outside_record (
    leaf_index bigint PRIMARY KEY REFERENCES entry (leaf_index),
    sealed bytea NOT NULL
);

-- What services state about their own streams, compared with what the log holds.
CREATE TABLE seal_claim (
    stream     text NOT NULL,
    first      bigint NOT NULL,
    head       bigint NOT NULL,
    range_hash text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    outcome    text CHECK (outcome IN ('equal', 'different')),
    PRIMARY KEY (stream, head)
);
CREATE INDEX seal_claim_open ON seal_claim (stream, head) WHERE outcome IS NULL;
