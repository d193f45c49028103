-- Every tree head signed, before it is seen: one root per size for ever; `announced_at` once Kafka has it.
CREATE TABLE checkpoint (
    size         bigint PRIMARY KEY CHECK (size > 0),
    root         bytea NOT NULL CHECK (octet_length(root) = 32),
    note         bytea NOT NULL,
    signed_at    timestamptz NOT NULL DEFAULT now(),
    announced_at timestamptz
);
CREATE INDEX checkpoint_unannounced ON checkpoint (size) WHERE announced_at IS NULL;

CREATE TRIGGER checkpoint_append_only BEFORE UPDATE OF size, root, note, signed_at OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
