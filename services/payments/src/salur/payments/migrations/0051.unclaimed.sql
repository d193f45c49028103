-- Money that reached the bank and nobody: reported by the bank, called back, returned to the treasury.

-- What a bank's reports say of a credited instruction; the newest counts.
CREATE TABLE unclaimed_report (
    instruction_id text PRIMARY KEY,
    bank           text NOT NULL,
    standing       text NOT NULL CHECK (standing IN ('undelivered', 'untouched', 'claimed')),
    since          date NOT NULL,
    statement_id   text NOT NULL,
    reported_at    timestamptz NOT NULL DEFAULT now()
);

-- A bank is asked to give settled money back. One row per instruction; a refused one may be asked again by two people.
CREATE TABLE recall (
    instruction_id text PRIMARY KEY REFERENCES payment (instruction_id),
    bank           text NOT NULL,
    state          text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'given-back', 'refused')),
    number         integer NOT NULL DEFAULT 1 CHECK (number >= 1),
    reason         text NOT NULL,
    proposal_id    text NOT NULL,
    refusal        text,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    ask_again_at   timestamptz NOT NULL,
    ended_at       timestamptz,
    CHECK ((state = 'asked') = (ended_at IS NULL)),
    CHECK ((state = 'refused') = (refusal IS NOT NULL))
);
CREATE INDEX recall_awaited ON recall (ask_again_at) WHERE state = 'asked';

-- Settled money that nobody has taken, by the bank's report of the payment, else by its report of the account.
CREATE VIEW unclaimed_payment AS
SELECT p.instruction_id, p.bank, p.cycle_id, p.region, p.amount_minor, p.currency, u.standing, u.since
FROM unclaimed_report u JOIN payment p ON p.instruction_id = u.instruction_id AND p.bank = u.bank
WHERE u.standing <> 'claimed' AND p.state = 'settled'
UNION ALL
SELECT p.instruction_id, p.bank, p.cycle_id, p.region, p.amount_minor, p.currency, r.standing, p.changed_at::date
FROM account_report r
JOIN payee y ON y.account_token = r.account_token
JOIN payment p ON p.beneficiary_id = y.beneficiary_id AND p.state = 'settled' AND p.bank = r.bank
JOIN list_item i ON i.list_id = p.list_id AND i.payment_id = p.payment_id AND i.payee_version = y.version
WHERE r.standing <> 'active'
  AND NOT EXISTS (SELECT 1 FROM unclaimed_report u WHERE u.instruction_id = p.instruction_id);
