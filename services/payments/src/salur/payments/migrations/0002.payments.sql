-- What payments knows of payees and entitlements, its lists, its payments and the banks' answers.

-- Every version of a beneficiary's payee; number and holder rest sealed. The highest version is the current one.
CREATE TABLE payee (
    beneficiary_id text NOT NULL,
    version        integer NOT NULL CHECK (version >= 1),
    status         text NOT NULL CHECK (status IN ('active', 'suspended', 'closed')),
    bank           text NOT NULL,
    account_token  text NOT NULL,
    sealed         bytea NOT NULL,
    PRIMARY KEY (beneficiary_id, version)
);

-- Partitions of registry.payees that have passed a registry cut.
CREATE TABLE passed_cut (
    cut_id    text NOT NULL,
    partition integer NOT NULL,
    PRIMARY KEY (cut_id, partition)
);

CREATE TABLE entitlement (
    entitlement_id text PRIMARY KEY,
    programme_id   text NOT NULL,
    cycle_id       text NOT NULL,
    beneficiary_id text NOT NULL,
    kind           text NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor >= 0),
    currency       text NOT NULL,
    region         text NOT NULL
);
CREATE UNIQUE INDEX entitlement_of_cycle ON entitlement (cycle_id, entitlement_id);

-- A cycle as its grant marks tell it: totals over all partitions.
CREATE TABLE cycle (
    cycle_id     text PRIMARY KEY,
    programme_id text NOT NULL,
    cut_id       text NOT NULL,
    entitlements integer NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL
);

-- Partitions of eligibility.entitlements that have passed a cycle's grant mark.
CREATE TABLE granted_cycle (
    cycle_id  text NOT NULL,
    partition integer NOT NULL,
    PRIMARY KEY (cycle_id, partition)
);

CREATE TABLE fund (
    fund_id      text PRIMARY KEY,
    name         text NOT NULL,
    currency     text NOT NULL,
    budget_minor bigint NOT NULL CHECK (budget_minor >= 0),
    opened_by    text NOT NULL,
    opened_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payment_list (
    list_id         text PRIMARY KEY,
    cycle_id        text NOT NULL REFERENCES cycle (cycle_id),
    fund_id         text NOT NULL REFERENCES fund (fund_id),
    programme_id    text NOT NULL,
    currency        text NOT NULL,
    state           text NOT NULL CHECK (state IN ('building', 'locked', 'submitted', 'approved', 'refused')),
    items           integer NOT NULL DEFAULT 0,
    amount_minor    bigint NOT NULL DEFAULT 0,
    content_hash    text NOT NULL DEFAULT '',
    funded_items    integer NOT NULL DEFAULT 0,
    funded_minor    bigint NOT NULL DEFAULT 0,
    instructed_rank integer NOT NULL DEFAULT 0,
    built_by        text NOT NULL,
    submitted_by    text,
    checked_by      text,
    check_cause     text,
    refusal         text,
    built_at        timestamptz NOT NULL DEFAULT now(),
    checked_at      timestamptz,
    CHECK (funded_items <= items AND instructed_rank <= funded_items),
    -- Maker and checker are two people, whatever the code above believes.
    CONSTRAINT payment_list_two_people CHECK (checked_by IS NULL OR (checked_by <> built_by AND checked_by <> submitted_by))
);
CREATE UNIQUE INDEX payment_list_one_per_cycle ON payment_list (cycle_id) WHERE state <> 'refused';

-- Items are ranked 1..n; held ones have a reason. `hold` may be set later, nothing else ever changes.
CREATE TABLE list_item (
    list_id        text NOT NULL REFERENCES payment_list (list_id),
    payment_id     text NOT NULL,
    rank           integer CHECK (rank >= 1),
    hold           text,
    entitlement_id text NOT NULL,
    part           integer NOT NULL CHECK (part >= 1),
    attempt        integer NOT NULL CHECK (attempt >= 1),
    instruction_id text NOT NULL,
    beneficiary_id text NOT NULL,
    payee_version  integer,
    bank           text,
    amount_minor   bigint NOT NULL,
    currency       text NOT NULL,
    region         text NOT NULL,
    PRIMARY KEY (list_id, payment_id),
    CHECK (rank IS NOT NULL OR hold IS NOT NULL),
    CHECK (rank IS NULL OR (payee_version IS NOT NULL AND bank IS NOT NULL AND amount_minor > 0))
);
CREATE UNIQUE INDEX list_item_rank ON list_item (list_id, rank);
CREATE INDEX list_item_payment ON list_item (payment_id);
CREATE INDEX list_item_hold ON list_item (list_id, hold) WHERE hold IS NOT NULL;

CREATE TRIGGER list_item_locked BEFORE UPDATE ON list_item FOR EACH ROW
    WHEN ((OLD.list_id, OLD.payment_id, OLD.rank, OLD.entitlement_id, OLD.part, OLD.attempt, OLD.instruction_id,
           OLD.beneficiary_id, OLD.payee_version, OLD.bank, OLD.amount_minor, OLD.currency, OLD.region)
          IS DISTINCT FROM
          (NEW.list_id, NEW.payment_id, NEW.rank, NEW.entitlement_id, NEW.part, NEW.attempt, NEW.instruction_id,
           NEW.beneficiary_id, NEW.payee_version, NEW.bank, NEW.amount_minor, NEW.currency, NEW.region))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER list_item_kept BEFORE DELETE OR TRUNCATE ON list_item
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row per instruction; it begins when the bank is instructed. An item of an approved list without a row is approved.
CREATE TABLE payment (
    instruction_id   text PRIMARY KEY,
    payment_id       text NOT NULL,
    attempt          integer NOT NULL,
    entitlement_id   text NOT NULL,
    part             integer NOT NULL,
    beneficiary_id   text NOT NULL,
    cycle_id         text NOT NULL,
    list_id          text NOT NULL,
    fund_id          text NOT NULL,
    bank             text NOT NULL,
    amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
    currency         text NOT NULL,
    region           text NOT NULL,
    state            text NOT NULL CHECK (state IN ('instructed', 'unknown', 'settled', 'rejected', 'returned')),
    reason           text,
    bank_reference   text,
    return_reference text,
    inquiries        integer NOT NULL DEFAULT 0,
    execute_until    timestamptz NOT NULL,
    answer_due_at    timestamptz NOT NULL,
    changed_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX payment_one_alive ON payment (entitlement_id, part)
    WHERE state IN ('instructed', 'unknown', 'settled');
CREATE INDEX payment_attempts ON payment (payment_id);
CREATE INDEX payment_of_list ON payment (list_id);
CREATE INDEX payment_awaited ON payment (answer_due_at) WHERE state IN ('instructed', 'unknown');

CREATE FUNCTION refuse_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'payment % cannot go from % to %', OLD.instruction_id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_state_machine';
END $$;

-- The declared machine (salur.payments.domain.machine holds the same moves); the condition costs no function call.
CREATE TRIGGER payment_state_machine BEFORE UPDATE OF state ON payment FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (
        ('instructed', 'settled'), ('instructed', 'rejected'), ('instructed', 'unknown'),
        ('unknown', 'settled'), ('unknown', 'rejected'), ('settled', 'returned')))
    EXECUTE FUNCTION refuse_state();
CREATE TRIGGER payment_kept BEFORE DELETE OR TRUNCATE ON payment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every message of a bank once, with a hash of what it said.
CREATE TABLE bank_message (
    bank         text NOT NULL,
    message_id   text NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (bank, message_id)
);

-- A return that came before its settlement waits here and is judged again after every move of its payment.
CREATE TABLE parked_return (
    bank           text NOT NULL,
    message_id     text NOT NULL,
    instruction_id text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    kafka_offset   bigint NOT NULL,
    sealed         bytea NOT NULL,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    judged_at      timestamptz,
    PRIMARY KEY (bank, message_id)
);
CREATE INDEX parked_return_waiting ON parked_return (instruction_id) WHERE judged_at IS NULL;

-- Answers that contradict what we know: they change no payment; a person must look.
CREATE TABLE suspense (
    suspense_id    text PRIMARY KEY,
    bank           text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    kafka_offset   bigint NOT NULL,
    reason         text NOT NULL,
    instruction_id text,
    size           integer NOT NULL,
    sealed         bytea NOT NULL,
    raised_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, partition, kafka_offset)
);
CREATE INDEX suspense_instruction ON suspense (instruction_id) WHERE instruction_id IS NOT NULL;
