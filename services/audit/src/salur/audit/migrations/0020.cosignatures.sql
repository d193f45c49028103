-- What witnesses signed about heads, before it is shown.
CREATE TABLE cosignature (
    size     bigint NOT NULL REFERENCES checkpoint (size),
    witness  text NOT NULL,
    line     text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, witness)
);

CREATE TRIGGER cosignature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
