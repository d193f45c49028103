-- Failed payments are issued again by a standing order, or by a person's case.

-- Two people say which failed payments of a programme are issued again without being asked each time: up to `max_minor`
-- (0 ends the order), up to `attempts_max` attempts; a refusal that passes by itself after `retry_after_s`.
CREATE TABLE reissue_order (
    programme_id  text PRIMARY KEY,
    max_minor     bigint NOT NULL CHECK (max_minor >= 0),
    attempts_max  integer NOT NULL CHECK (attempts_max BETWEEN 2 AND 9),
    retry_after_s integer NOT NULL CHECK (retry_after_s >= 0),
    proposal_id   text NOT NULL,
    set_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payment_failed_in ON payment (cycle_id) WHERE state IN ('rejected', 'returned');

-- failed-payment: a refusal or return whose reason a person must look into. `retried`: two people let it be issued
-- again; `ended`: it will not be.
ALTER TABLE money_case DROP CONSTRAINT money_case_kind_known;
ALTER TABLE money_case ADD CONSTRAINT money_case_kind_known
    CHECK (kind IN ('overpayment', 'supplement', 'not-received', 'failed-payment'));
ALTER TABLE money_case DROP CONSTRAINT money_case_state_check;
ALTER TABLE money_case ADD CONSTRAINT money_case_state_known
    CHECK (state IN ('open', 'offset', 'recovery', 'written-off', 'paid', 'retried', 'ended'));
ALTER TABLE money_case DROP CONSTRAINT money_case_check;
ALTER TABLE money_case ADD CONSTRAINT money_case_open_undecided CHECK (state <> 'open' OR proposal_id IS NULL);
CREATE INDEX money_case_of ON money_case (payment_id);
