-- `usable_from`: a changed account rests before its first use, so that the family can object. `check_result`: what the
-- bank answered about this version (cek rekening).
ALTER TABLE payee
    ADD COLUMN valid_from   timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN usable_from  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN changed_by   text,
    ADD COLUMN check_result text CHECK (check_result IN ('matches', 'name-differs', 'closed', 'unknown-account')),
    ADD COLUMN checked_at   timestamptz;
CREATE INDEX payee_account ON payee USING hash (account_token);

-- Every version of an account that was replaced, from when to when it held.
CREATE TABLE payee_version (
    household_id text COLLATE "C" NOT NULL,
    version      integer NOT NULL,
    status       text NOT NULL,
    bank         text NOT NULL,
    sealed       bytea NOT NULL,
    usable_from  timestamptz NOT NULL,
    changed_by   text,
    check_result text,
    checked_at   timestamptz,
    valid_from   timestamptz NOT NULL,
    valid_until  timestamptz NOT NULL,
    PRIMARY KEY (household_id, version)
);
CREATE FUNCTION keep_payee_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payee_version
    VALUES (old.household_id, old.version, old.status, old.bank, old.sealed, old.usable_from, old.changed_by,
            old.check_result, old.checked_at, old.valid_from, new.valid_from)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_payee_version AFTER UPDATE ON payee
    FOR EACH ROW WHEN (old.version <> new.version) EXECUTE FUNCTION keep_payee_version();

-- Consent in the terms of ISO/IEC TS 27560: for which purpose, on which lawful basis, by which notice, with what
-- evidence, given and withdrawn when. `member_id` NULL = the head speaks for the family.
CREATE TABLE consent (
    consent_id     text COLLATE "C" PRIMARY KEY,
    household_id   text COLLATE "C" NOT NULL REFERENCES household (household_id),
    member_id      text,
    purpose        text NOT NULL,
    lawful_basis   text NOT NULL CHECK (lawful_basis IN
        ('consent', 'legal-obligation', 'public-task', 'vital-interest', 'contract', 'legitimate-interest')),
    notice         text NOT NULL,
    collection     text NOT NULL CHECK (collection IN ('in-person', 'written', 'electronic', 'by-guardian')),
    evidence       text NOT NULL,
    valid_until    date,
    recorded_by    text NOT NULL,
    given_at       timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    withdrawn_at   timestamptz,
    withdrawn_by   text,
    withdrawal     text,
    CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL))
);
CREATE INDEX consent_household ON consent (household_id);
