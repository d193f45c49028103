-- The pre-payment gate, decisions of people on held items, follow-up lists, approval bands.

-- `since`: when the registry said this version. `identity_token`: equal for one person or family registered twice.
ALTER TABLE payee
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN identity_token text,
    ADD COLUMN living text NOT NULL DEFAULT 'alive' CHECK (living IN ('alive', 'deceased'));

-- A programme's own limits for the gate; a programme without a row has the defaults of salur.payments.domain.gate.
CREATE TABLE gate_rule (
    programme_id text PRIMARY KEY,
    rule         jsonb NOT NULL,
    proposal_id  text NOT NULL,
    set_at       timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE closed_region (
    region      text PRIMARY KEY,
    reason      text NOT NULL,
    proposal_id text NOT NULL
);

-- What banks say about accounts, by token: dormant and never-used ones are not paid without a person.
CREATE TABLE account_report (
    account_token text PRIMARY KEY,
    bank          text NOT NULL,
    standing      text NOT NULL CHECK (standing IN ('active', 'dormant', 'never-used')),
    last_used_on  date,
    reported_at   timestamptz NOT NULL DEFAULT now()
);

-- Why the gate held an item, with its evidence; one row per check that hit.
CREATE TABLE gate_hit (
    list_id    text NOT NULL REFERENCES payment_list (list_id),
    payment_id text NOT NULL,
    check_code text NOT NULL,
    evidence   jsonb NOT NULL,
    PRIMARY KEY (list_id, payment_id, check_code)
);
CREATE TRIGGER gate_hit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON gate_hit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a person decided about a held item or a failed payment. The newest row counts.
CREATE TABLE item_decision (
    decision_id text PRIMARY KEY,
    list_id     text NOT NULL REFERENCES payment_list (list_id),
    payment_id  text NOT NULL,
    act         text NOT NULL CHECK (act IN ('hold', 'release', 'cancel', 'retry')),
    checks      text[] NOT NULL DEFAULT '{}',
    reason      text NOT NULL,
    actor       text NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX item_decision_of ON item_decision (payment_id, decided_at);
CREATE TRIGGER item_decision_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON item_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A follow-up list pays what earlier lists of its cycle held or could not pay; one at a time is undecided.
ALTER TABLE payment_list ADD COLUMN kind text NOT NULL DEFAULT 'regular' CHECK (kind IN ('regular', 'follow-up'));
DROP INDEX payment_list_one_per_cycle;
CREATE UNIQUE INDEX payment_list_one_per_cycle ON payment_list (cycle_id)
    WHERE kind = 'regular' AND state NOT IN ('refused', 'expired');
CREATE UNIQUE INDEX payment_list_one_follow_up ON payment_list (cycle_id)
    WHERE kind = 'follow-up' AND state IN ('building', 'locked', 'submitted');

-- Failed payments by beneficiary: for the next cycle's gate and for re-issue. Few, so cheap to keep.
CREATE INDEX payment_failed ON payment (beneficiary_id) WHERE state IN ('rejected', 'returned');

-- From which amount on a list needs how many approvers.
CREATE TABLE approval_band (
    currency    text NOT NULL,
    over_minor  bigint NOT NULL CHECK (over_minor >= 0),
    approvers   integer NOT NULL CHECK (approvers BETWEEN 1 AND 9),
    proposal_id text NOT NULL,
    PRIMARY KEY (currency, over_minor)
);

-- Who approved which content. `authority`: the region whose money they speak for, '' central.
CREATE TABLE list_approval (
    list_id      text NOT NULL REFERENCES payment_list (list_id),
    approver     text NOT NULL,
    content_hash text NOT NULL,
    regions      text[] NOT NULL,
    delegators   text[] NOT NULL,
    approved_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (list_id, approver)
);
CREATE TRIGGER list_approval_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON list_approval
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
