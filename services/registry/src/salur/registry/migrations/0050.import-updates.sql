-- An update changes many households at a stroke: its rows are taken when another person has accepted it.
ALTER TABLE bulk_import DROP CONSTRAINT bulk_import_state_check;
ALTER TABLE bulk_import
    ADD CHECK (state IN ('awaiting-content', 'awaiting-acceptance', 'queued', 'running', 'done', 'failed')),
    ADD COLUMN accepted_by text,
    ADD CHECK (accepted_by <> actor);

-- An import may state known households anew; `household.import_id` is then the import that stated it last.
-- `absent`: households of the same numbering that an update's file does not name; unknown until its end.
ALTER TABLE bulk_import
    ADD COLUMN changed   bigint NOT NULL DEFAULT 0,
    ADD COLUMN unchanged bigint NOT NULL DEFAULT 0,
    ADD COLUMN absent    bigint;

CREATE TABLE bulk_import_absent (
    import_id    text COLLATE "C" NOT NULL REFERENCES bulk_import (import_id),
    household_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (import_id, household_id)
);
