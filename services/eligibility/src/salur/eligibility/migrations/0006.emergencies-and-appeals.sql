-- A disaster somebody declared; its cycle begins when another person approves.
CREATE TABLE declaration (
    declaration_id text PRIMARY KEY,
    programme_id   text NOT NULL,
    name           text NOT NULL,
    regions        text[] NOT NULL CHECK (regions <> '{}'),
    started_on     date NOT NULL,
    cut_id         text NOT NULL,
    reason         text NOT NULL,
    declared_by    text NOT NULL,
    declared_at    timestamptz NOT NULL DEFAULT now(),
    approved_by    text,
    approved_at    timestamptz,
    cycle_id       text,
    UNIQUE (programme_id, name)
);

-- An objection to one decision. `statement` is sealed under the appeal's id; `evidence` names documents by their hash.
CREATE TABLE appeal (
    appeal_id       text PRIMARY KEY,
    decision_id     text NOT NULL,
    programme       integer NOT NULL,
    programme_id    text NOT NULL,
    household_id    text COLLATE "C" NOT NULL,
    household_version integer NOT NULL,
    region          text NOT NULL,
    grounds         text NOT NULL,
    statement       bytea NOT NULL,
    evidence        jsonb NOT NULL,
    state           text NOT NULL CHECK (state IN ('open', 'upheld', 'dismissed')),
    opened_by       text NOT NULL,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL,
    reviewed_by     text,
    reviewed_at     timestamptz,
    reason          text,
    new_decision_id text,
    back_pay_minor  bigint NOT NULL DEFAULT 0,
    CHECK ((state = 'open') = (reviewed_by IS NULL))
);
CREATE UNIQUE INDEX appeal_open_once ON appeal (decision_id) WHERE state = 'open';

-- What an upheld appeal put right of the facts a decision was made on.
ALTER TABLE decision ADD COLUMN corrections jsonb;
CREATE INDEX decision_by_id ON decision (household_id, decision_id);

-- A cycle of its own carries the back-pay of an upheld appeal, so that it is listed and approved like any other.
ALTER TABLE cycle ADD COLUMN appeal_id text;
