-- The daily close, suspense that a person has looked into, and acts on a payment a bank has been told about.

CREATE TABLE day_close (
    day       date PRIMARY KEY,
    report    jsonb NOT NULL,
    closed_by text NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER day_close_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON day_close
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE suspense
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN ended_by text,
    ADD COLUMN finding text,
    ADD CONSTRAINT suspense_ended CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (finding IS NULL));
CREATE INDEX suspense_open ON suspense (bank) WHERE ended_at IS NULL;
