-- What banks say of accounts before their first use (cek rekening): one question per version of a payee.
-- `seed` (sealed) makes the commitment, so that a question asked again names the account by the same one.
-- `bank_result`: what the bank answered. `result`: what counts, the bank's word or a later one of the registry.
CREATE TABLE account_check (
    check_id           text PRIMARY KEY,
    beneficiary_id     text NOT NULL,
    version            integer NOT NULL,
    bank               text NOT NULL,
    asks               integer NOT NULL DEFAULT 0,
    ask_at             timestamptz NOT NULL DEFAULT now(),
    asked_at           timestamptz,
    seed               bytea,
    account_commitment text,
    bank_result        text,
    result             text CHECK (result IN ('matches', 'name-close', 'name-differs', 'closed', 'unknown-account')),
    answered_at        timestamptz,
    evidence           text,
    UNIQUE (beneficiary_id, version),
    CHECK ((result IS NULL) = (answered_at IS NULL)),
    CHECK (bank_result IS NULL OR result IS NOT NULL)
);
CREATE INDEX account_check_due ON account_check (ask_at) WHERE result IS NULL;
CREATE TRIGGER account_check_kept BEFORE DELETE OR TRUNCATE ON account_check
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
