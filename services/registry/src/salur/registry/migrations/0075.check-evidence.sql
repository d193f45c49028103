-- What the bank's word on an account rests on: its message, or the document a person names; and how the names compare.
ALTER TABLE payee
    ADD COLUMN check_evidence text,
    ADD COLUMN name_match text CHECK (name_match IN ('exact', 'close', 'none'));
ALTER TABLE payee_version ADD COLUMN check_evidence text, ADD COLUMN name_match text;
CREATE OR REPLACE FUNCTION keep_payee_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payee_version (household_id, version, status, bank, sealed, usable_from, changed_by, check_result,
                               checked_at, valid_from, valid_until, check_evidence, name_match)
    VALUES (old.household_id, old.version, old.status, old.bank, old.sealed, old.usable_from, old.changed_by,
            old.check_result, old.checked_at, old.valid_from, new.valid_from, old.check_evidence, old.name_match)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
