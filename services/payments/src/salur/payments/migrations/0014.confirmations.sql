-- Whether recipients say they got their money; a difference becomes a case.
CREATE TABLE confirmation (
    payment_id     text PRIMARY KEY,
    instruction_id text NOT NULL,
    cycle_id       text NOT NULL,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    channel        text CHECK (channel IN ('message', 'agent', 'upload')),
    received_minor bigint CHECK (received_minor >= 0),
    answered_at    timestamptz,
    CHECK ((answered_at IS NULL) = (received_minor IS NULL AND channel IS NULL))
);
CREATE INDEX confirmation_of_cycle ON confirmation (cycle_id);

ALTER TABLE money_case DROP CONSTRAINT money_case_kind_check;
ALTER TABLE money_case ADD CONSTRAINT money_case_kind_known CHECK (kind IN ('overpayment', 'supplement', 'not-received'));
