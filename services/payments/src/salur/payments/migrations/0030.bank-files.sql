-- Files to and from banks. A file has no effect before it has been checked as a whole; `taken` counts how far it has
-- had its effect, so that a restart goes on where it stopped.
CREATE TABLE bank_file (
    bank         text NOT NULL,
    sha256       text NOT NULL CHECK (length(sha256) = 64),
    state        text NOT NULL CHECK (state IN ('checked', 'taken', 'refused')),
    kind         text,
    message_id   text,
    size         bigint NOT NULL,
    transactions integer NOT NULL DEFAULT 0,
    taken        integer NOT NULL DEFAULT 0,
    refusal      text,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bank, sha256),
    CHECK (taken <= transactions),
    CHECK ((state = 'refused') = (refusal IS NOT NULL)),
    CHECK (state = 'refused' OR (kind IS NOT NULL AND message_id IS NOT NULL))
);
CREATE UNIQUE INDEX bank_file_message ON bank_file (bank, message_id) WHERE state <> 'refused';

-- How far the instruction streams of a bank that works with files have been put into files.
CREATE TABLE bank_file_mark (
    stream   text PRIMARY KEY,
    sequence bigint NOT NULL
);

-- A file to a bank. Planned with its ranges of the streams first, written after: the same ranges give the same bytes.
CREATE TABLE outgoing_file (
    message_id   text PRIMARY KEY,
    bank         text NOT NULL,
    streams      text[] NOT NULL,
    after        bigint[] NOT NULL,
    until        bigint[] NOT NULL,
    created_at   timestamptz NOT NULL,
    state        text NOT NULL CHECK (state IN ('planned', 'written')),
    sha256       text,
    transactions integer,
    amount_minor bigint,
    CHECK ((state = 'written') = (sha256 IS NOT NULL))
);
CREATE INDEX outgoing_file_planned ON outgoing_file (created_at) WHERE state = 'planned';
