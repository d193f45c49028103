-- An overpayment that two people let be offset is taken from the person's next payments: at most a share of each, from
-- a day on that leaves time to object. What was planned of a claim and what was taken stands per payment.
ALTER TABLE claim
    ADD COLUMN offset_percent smallint CHECK (offset_percent BETWEEN 1 AND 50),
    ADD COLUMN offset_from timestamptz,
    ADD COLUMN surplus_minor bigint NOT NULL DEFAULT 0 CHECK (surplus_minor >= 0),
    ADD CONSTRAINT claim_offset_whole CHECK ((offset_percent IS NULL) = (offset_from IS NULL));
COMMENT ON COLUMN claim.surplus_minor IS
    'Paid back or set off for a payment that a bank then returned: owed to the person, a money case of its own.';
ALTER TABLE list_item ADD COLUMN offset_minor bigint NOT NULL DEFAULT 0 CHECK (offset_minor >= 0);
ALTER TABLE payment ADD COLUMN offset_minor bigint NOT NULL DEFAULT 0 CHECK (offset_minor >= 0);

CREATE TABLE list_offset (
    list_id      text NOT NULL,
    payment_id   text NOT NULL,
    case_id      text NOT NULL REFERENCES claim (case_id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    state        text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'taken', 'given-back')),
    taken_minor  bigint NOT NULL DEFAULT 0 CHECK (taken_minor BETWEEN 0 AND amount_minor),
    PRIMARY KEY (list_id, payment_id, case_id),
    FOREIGN KEY (list_id, payment_id) REFERENCES list_item (list_id, payment_id)
);
CREATE INDEX list_offset_planned ON list_offset (case_id) WHERE state = 'planned';
CREATE TRIGGER list_offset_kept BEFORE DELETE OR TRUNCATE ON list_offset
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER list_item_offset_locked BEFORE UPDATE OF offset_minor ON list_item
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- surplus: a person has paid back, or was set off, more than was owed in the end. A part of an entitlement that gives
-- such money back pays nothing of what is due.
ALTER TABLE money_case DROP CONSTRAINT money_case_kind_known;
ALTER TABLE money_case ADD CONSTRAINT money_case_kind_known
    CHECK (kind IN ('overpayment', 'supplement', 'not-received', 'failed-payment', 'surplus'));
ALTER TABLE supplement ADD COLUMN gives_back boolean NOT NULL DEFAULT false;
CREATE OR REPLACE FUNCTION part_due(entitlement text, number integer) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN number > 1 THEN (
        SELECT s.amount_minor FROM supplement s WHERE s.entitlement_id = entitlement AND s.part = number
    ) ELSE greatest(0, (
        SELECT coalesce(e.due_minor, e.amount_minor) FROM entitlement e WHERE e.entitlement_id = entitlement
    ) - coalesce((SELECT sum(s.amount_minor) FROM supplement s
                  WHERE s.entitlement_id = entitlement AND NOT s.gives_back), 0)::bigint) END
$$;
