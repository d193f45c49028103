-- A question asked of the whole registry, and its answer. Nothing else is written by it.
CREATE TABLE simulation (
    simulation_id   text PRIMARY KEY,
    programme_id    text NOT NULL,
    proposed        text NOT NULL,
    current         text,
    proposed_rules  text NOT NULL,
    current_rules   text,
    reference       text,
    state           text NOT NULL CHECK (state IN ('waiting', 'done', 'failed')),
    result          jsonb,
    asked_by        text NOT NULL,
    cause           text NOT NULL,
    asked_at        timestamptz NOT NULL DEFAULT now(),
    done_at         timestamptz
);
CREATE INDEX simulation_waiting ON simulation (asked_at) WHERE state = 'waiting';
