-- What happens after the instruction: late changes, money cases, the treasury, bank statements and breaks.

-- disputed: said to be settled, missing in the bank's statement. treasury, cancelled: ends of a failed payment.
ALTER TABLE payment DROP CONSTRAINT payment_state_check;
ALTER TABLE payment ADD CONSTRAINT payment_state_known CHECK (state IN (
    'instructed', 'unknown', 'settled', 'disputed', 'rejected', 'returned', 'treasury', 'cancelled'));
DROP TRIGGER payment_state_machine ON payment;
CREATE TRIGGER payment_state_machine BEFORE UPDATE OF state ON payment FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('instructed', 'settled'), ('instructed', 'rejected'), ('instructed', 'unknown'),
        ('unknown', 'settled'), ('unknown', 'rejected'), ('settled', 'returned'), ('settled', 'disputed'),
        ('disputed', 'settled'), ('disputed', 'returned'), ('rejected', 'cancelled'), ('rejected', 'treasury'),
        ('returned', 'cancelled'), ('returned', 'treasury')))
    EXECUTE FUNCTION refuse_state();
DROP INDEX payment_one_alive;
CREATE UNIQUE INDEX payment_one_alive ON payment (entitlement_id, part)
    WHERE state IN ('instructed', 'unknown', 'settled', 'disputed');
ALTER TABLE account DROP CONSTRAINT account_kind_check;
ALTER TABLE account ADD CONSTRAINT account_kind_known
    CHECK (kind IN ('treasury', 'fund', 'clearing', 'beneficiaries', 'disputed'));

-- Why a payment no bank may carry out any more is being asked about; the bank's word decides.
ALTER TABLE payment ADD COLUMN cancel_reason text;

-- `due_minor`: what is due after later changes; NULL: as granted. Changes by their id, each once.
ALTER TABLE entitlement ADD COLUMN due_minor bigint CHECK (due_minor >= 0);
CREATE TABLE entitlement_change (
    change_id      text PRIMARY KEY,
    entitlement_id text NOT NULL,
    due_minor      bigint NOT NULL,
    reason         text NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT now()
);

-- Money that was paid and is not due, or due and not paid: open until two people decide.
CREATE TABLE money_case (
    case_id        text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('overpayment', 'supplement')),
    payment_id     text NOT NULL,
    entitlement_id text NOT NULL,
    beneficiary_id text NOT NULL,
    region         text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    currency       text NOT NULL,
    reason         text NOT NULL,
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'offset', 'recovery', 'written-off', 'paid')),
    proposal_id    text,
    opened_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'open') = (proposal_id IS NULL))
);

-- A bank's statement and its lines, whatever file they came in. `until`: everything booked before stands in it.
CREATE TABLE statement (
    bank         text NOT NULL,
    statement_id text NOT NULL,
    until        timestamptz NOT NULL,
    lines        integer NOT NULL,
    content_hash bytea NOT NULL,
    taken_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bank, statement_id)
);
CREATE TABLE statement_line (
    bank           text NOT NULL,
    line_id        text NOT NULL,
    statement_id   text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('credit', 'return')),
    instruction_id text NOT NULL,
    amount_minor   bigint NOT NULL,
    currency       text NOT NULL,
    account        text,
    PRIMARY KEY (bank, line_id)
);
CREATE INDEX statement_line_instruction ON statement_line (instruction_id);
CREATE TRIGGER statement_line_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where entitlement, instruction and statement differ; one row per instruction, bank and kind.
CREATE TABLE recon_break (
    break_id       text PRIMARY KEY,
    bank           text NOT NULL,
    statement_id   text NOT NULL,
    kind           text NOT NULL,
    instruction_id text NOT NULL,
    cycle_id       text,
    expected_minor bigint,
    found_minor    bigint,
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'resolved')),
    owner          text,
    resolution     text,
    proposal_id    text,
    raised_at      timestamptz NOT NULL DEFAULT now(),
    resolved_at    timestamptz,
    CHECK ((state = 'resolved') = (resolution IS NOT NULL))
);
CREATE UNIQUE INDEX recon_break_open ON recon_break (bank, instruction_id, kind) WHERE state = 'open';

-- One signature per cycle and bank: nothing open, control totals zero.
CREATE TABLE sign_off (
    cycle_id       text NOT NULL,
    bank           text NOT NULL,
    settled_minor  bigint NOT NULL,
    statement_minor bigint NOT NULL,
    signed_by      text NOT NULL,
    signed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cycle_id, bank),
    CHECK (settled_minor = statement_minor)
);
