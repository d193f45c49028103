-- What became of money that was paid and was not due: a claim of the fund that paid it, or a loss of that fund.
ALTER TABLE account DROP CONSTRAINT account_kind_known;
ALTER TABLE account ADD CONSTRAINT account_kind_known CHECK (kind IN (
    'treasury', 'fund', 'clearing', 'beneficiaries', 'disputed', 'overpaid', 'claims', 'written-off'));

CREATE TABLE claim (
    case_id           text PRIMARY KEY REFERENCES money_case (case_id),
    payment_id        text NOT NULL,
    fund_id           text NOT NULL,
    region            text NOT NULL,
    currency          text NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor > 0),
    open_minor        bigint NOT NULL CHECK (open_minor >= 0),
    written_off_minor bigint NOT NULL CHECK (written_off_minor >= 0),
    returned_minor    bigint NOT NULL DEFAULT 0 CHECK (returned_minor >= 0),
    reductions        integer NOT NULL DEFAULT 0,
    opened_at         timestamptz NOT NULL DEFAULT now(),
    CHECK (open_minor + written_off_minor + returned_minor <= amount_minor)
);
CREATE INDEX claim_of_payment ON claim (payment_id);
CREATE INDEX claim_open ON claim (opened_at) WHERE open_minor > 0;
CREATE TRIGGER claim_kept BEFORE DELETE OR TRUNCATE ON claim FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
