-- Several funds per programme and list; acts that need two people.

-- `region`: '' pays everywhere (central), a province or district code pays people there. `programme_id` NULL: any.
ALTER TABLE fund
    ADD COLUMN region text NOT NULL DEFAULT '',
    ADD COLUMN programme_id text,
    ADD COLUMN state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed'));

-- The funds a list is paid from. `share` weighs how much of the list each bears; items name their fund.
CREATE TABLE list_fund (
    list_id      text NOT NULL REFERENCES payment_list (list_id),
    fund_id      text NOT NULL REFERENCES fund (fund_id),
    position     integer NOT NULL,
    share        integer NOT NULL CHECK (share >= 1),
    items        integer NOT NULL DEFAULT 0,
    amount_minor bigint NOT NULL DEFAULT 0,
    funded_items integer NOT NULL DEFAULT 0,
    funded_minor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (list_id, fund_id)
);
INSERT INTO list_fund (list_id, fund_id, position, share, items, amount_minor, funded_items, funded_minor)
SELECT list_id, fund_id, 1, 1, items, amount_minor, funded_items, funded_minor FROM payment_list;

ALTER TABLE list_item ADD COLUMN fund_id text;
UPDATE list_item i SET fund_id = l.fund_id FROM payment_list l WHERE l.list_id = i.list_id AND i.rank IS NOT NULL;
ALTER TABLE list_item ADD CONSTRAINT list_item_has_fund CHECK (rank IS NULL OR fund_id IS NOT NULL);
DROP TRIGGER list_item_locked ON list_item;
CREATE TRIGGER list_item_locked BEFORE UPDATE ON list_item FOR EACH ROW
    WHEN ((OLD.list_id, OLD.payment_id, OLD.rank, OLD.entitlement_id, OLD.part, OLD.attempt, OLD.instruction_id,
           OLD.beneficiary_id, OLD.payee_version, OLD.bank, OLD.amount_minor, OLD.currency, OLD.region, OLD.fund_id)
          IS DISTINCT FROM
          (NEW.list_id, NEW.payment_id, NEW.rank, NEW.entitlement_id, NEW.part, NEW.attempt, NEW.instruction_id,
           NEW.beneficiary_id, NEW.payee_version, NEW.bank, NEW.amount_minor, NEW.currency, NEW.region, NEW.fund_id))
    EXECUTE FUNCTION refuse_change();

-- Each fund is cut by itself, so held ranks may stand among funded ones: `last_rank` is the last funded rank.
ALTER TABLE payment_list ADD COLUMN last_rank integer NOT NULL DEFAULT 0, ADD COLUMN approve_until timestamptz;
UPDATE payment_list SET last_rank = funded_items;
ALTER TABLE payment_list DROP CONSTRAINT payment_list_check;
ALTER TABLE payment_list ADD CONSTRAINT payment_list_counts
    CHECK (funded_items <= last_rank AND last_rank <= items AND instructed_rank <= last_rank);
ALTER TABLE payment_list DROP CONSTRAINT payment_list_state_check;
ALTER TABLE payment_list ADD CONSTRAINT payment_list_state_known
    CHECK (state IN ('building', 'locked', 'submitted', 'approved', 'refused', 'expired'));
DROP INDEX payment_list_one_per_cycle;
CREATE UNIQUE INDEX payment_list_one_per_cycle ON payment_list (cycle_id) WHERE state NOT IN ('refused', 'expired');

-- An act that one person proposes and another decides.
CREATE TABLE proposal (
    proposal_id text PRIMARY KEY,
    kind        text NOT NULL,
    subject     text NOT NULL,
    content     jsonb NOT NULL,
    reason      text NOT NULL,
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'refused')),
    proposed_by text NOT NULL,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    decided_by  text,
    decided_at  timestamptz,
    CONSTRAINT proposal_two_people CHECK (decided_by <> proposed_by),
    CHECK ((state = 'open') = (decided_by IS NULL))
);
CREATE UNIQUE INDEX proposal_open_once ON proposal (kind, subject) WHERE state = 'open';
