-- Who is paid when it is not the beneficiary, and how: account, card, cash against a code, group account, contribution.
ALTER TABLE payee ADD COLUMN method text NOT NULL DEFAULT 'account'
    CHECK (method IN ('account', 'card', 'cash', 'group-account', 'contribution'));

ALTER TABLE entitlement ADD COLUMN payee_id text;
UPDATE entitlement SET payee_id = beneficiary_id;
ALTER TABLE entitlement ALTER COLUMN payee_id SET NOT NULL;

-- A programme that pays somebody in its beneficiaries' stead: an insurer who is paid their contributions.
CREATE TABLE programme_payee (
    programme_id text PRIMARY KEY,
    payee_id     text NOT NULL,
    proposal_id  text NOT NULL,
    set_at       timestamptz NOT NULL DEFAULT now()
);

-- What is due now, and whose account gets it.
CREATE VIEW entitlement_due AS
SELECT e.entitlement_id, e.programme_id, e.cycle_id, e.beneficiary_id, e.currency, e.region,
       coalesce(e.due_minor, e.amount_minor) AS amount_minor, coalesce(p.payee_id, e.payee_id) AS payee_id
FROM entitlement e LEFT JOIN programme_payee p USING (programme_id);

ALTER TABLE list_item ADD COLUMN payee_id text, ADD COLUMN method text;
UPDATE list_item SET payee_id = beneficiary_id, method = CASE WHEN payee_version IS NOT NULL THEN 'account' END;
ALTER TABLE list_item ALTER COLUMN payee_id SET NOT NULL;
ALTER TABLE list_item ADD CONSTRAINT list_item_has_method CHECK (rank IS NULL OR method IS NOT NULL);
ALTER TABLE payment ADD COLUMN payee_id text, ADD COLUMN method text NOT NULL DEFAULT 'account';
UPDATE payment SET payee_id = beneficiary_id;
ALTER TABLE payment ALTER COLUMN payee_id SET NOT NULL;
DROP TRIGGER list_item_locked ON list_item;
CREATE TRIGGER list_item_locked BEFORE UPDATE ON list_item FOR EACH ROW
    WHEN ((OLD.list_id, OLD.payment_id, OLD.rank, OLD.entitlement_id, OLD.part, OLD.attempt, OLD.instruction_id,
           OLD.beneficiary_id, OLD.payee_id, OLD.payee_version, OLD.method, OLD.bank, OLD.amount_minor, OLD.currency,
           OLD.region, OLD.fund_id)
          IS DISTINCT FROM
          (NEW.list_id, NEW.payment_id, NEW.rank, NEW.entitlement_id, NEW.part, NEW.attempt, NEW.instruction_id,
           NEW.beneficiary_id, NEW.payee_id, NEW.payee_version, NEW.method, NEW.bank, NEW.amount_minor, NEW.currency,
           NEW.region, NEW.fund_id))
    EXECUTE FUNCTION refuse_change();
