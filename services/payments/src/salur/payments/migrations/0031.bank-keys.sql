-- The public keys banks sign their messages with (Ed25519). A key is never changed, only ended.
CREATE TABLE bank_key (
    bank        text NOT NULL,
    key_id      text NOT NULL,
    public_key  bytea NOT NULL CHECK (length(public_key) = 32),
    valid_from  timestamptz NOT NULL,
    valid_until timestamptz,
    proposal_id text NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bank, key_id),
    CHECK (valid_until IS NULL OR valid_until >= valid_from)
);
CREATE TRIGGER bank_key_kept BEFORE DELETE OR TRUNCATE ON bank_key
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER bank_key_same BEFORE UPDATE ON bank_key FOR EACH ROW
    WHEN ((OLD.bank, OLD.key_id, OLD.public_key, OLD.valid_from) IS DISTINCT FROM
          (NEW.bank, NEW.key_id, NEW.public_key, NEW.valid_from))
    EXECUTE FUNCTION refuse_change();
