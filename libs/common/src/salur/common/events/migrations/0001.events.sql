-- The event mechanism of every service: streams, events, relay, marks, dead letters, seals.

CREATE TABLE topic (
    name       text PRIMARY KEY,
    partitions integer NOT NULL CHECK (partitions > 0)
);

-- One row per topic-partition this service writes. `fenced`: Kafka holds events this database has lost.
CREATE TABLE stream (
    name      text PRIMARY KEY,
    topic     text NOT NULL REFERENCES topic (name),
    partition integer NOT NULL,
    sequence  bigint NOT NULL DEFAULT 0,
    fenced    boolean NOT NULL DEFAULT false,
    UNIQUE (topic, partition)
);

-- Append-only; the outbox is the service's event history.
CREATE TABLE event (
    stream      text NOT NULL,
    sequence    bigint NOT NULL,
    id          uuid NOT NULL,
    type        text NOT NULL,
    key         text NOT NULL,
    body        bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, sequence)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$;

CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Personal values of an event and their salt, sealed under the subject's key. Rows and keys may be destroyed.
CREATE TABLE subject_key (
    subject text PRIMARY KEY,
    sealed  bytea NOT NULL
);
CREATE TABLE event_personal (
    stream   text NOT NULL,
    sequence bigint NOT NULL,
    subject  text NOT NULL,
    sealed   bytea NOT NULL,
    PRIMARY KEY (stream, sequence)
);
CREATE INDEX event_personal_subject ON event_personal (subject);

-- The last contiguous sequence Kafka has acknowledged.
CREATE TABLE relay (
    stream    text PRIMARY KEY REFERENCES stream (name),
    published bigint NOT NULL DEFAULT 0
);

-- How far each stream has been sealed.
CREATE TABLE seal (
    stream text PRIMARY KEY REFERENCES stream (name),
    sealed bigint NOT NULL DEFAULT 0
);

-- How far a consumer has taken each stream. `sequence` of an outside topic stays 0; its offset is the mark.
CREATE TABLE mark (
    consumer     text NOT NULL,
    stream       text NOT NULL,
    sequence     bigint NOT NULL DEFAULT 0,
    kafka_offset bigint NOT NULL DEFAULT -1,
    PRIMARY KEY (consumer, stream)
);

CREATE TABLE dead_letter (
    id           uuid PRIMARY KEY,
    consumer     text NOT NULL,
    topic        text NOT NULL,
    partition    integer NOT NULL,
    kafka_offset bigint NOT NULL,
    stream       text NOT NULL,
    sequence     bigint NOT NULL,
    key          text NOT NULL,
    state        text NOT NULL CHECK (state IN ('raised', 'parked', 'foreign', 'replayed')),
    reason       text NOT NULL,
    sealed       bytea NOT NULL,
    raised_at    timestamptz NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    UNIQUE (consumer, topic, partition, kafka_offset)
);
CREATE INDEX dead_letter_blocked ON dead_letter (consumer, key) WHERE state IN ('raised', 'parked');
