-- `identity`: names, birth dates and contact, sealed. `status`: a merged household lives on in `merged_into`.
-- `changed_by`: who made this version; NULL for a bulk import, which `import_id` names.
ALTER TABLE household
    ADD COLUMN identity    bytea,
    ADD COLUMN status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'merged')),
    ADD COLUMN merged_into text COLLATE "C",
    ADD COLUMN changed_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN changed_by  text,
    ADD CONSTRAINT household_merged_somewhere CHECK ((status = 'merged') = (merged_into IS NOT NULL));

-- Every version that was replaced, from when to when it held.
CREATE TABLE household_version (
    household_id text COLLATE "C" NOT NULL,
    version      integer NOT NULL,
    region       text NOT NULL,
    attributes   jsonb NOT NULL,
    members      jsonb NOT NULL,
    identity     bytea,
    status       text NOT NULL,
    changed_by   text,
    valid_from   timestamptz NOT NULL,
    valid_until  timestamptz NOT NULL,
    PRIMARY KEY (household_id, version)
);

-- In the database, so that no way of changing a household can forget its history.
CREATE FUNCTION keep_household_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO household_version
    VALUES (old.household_id, old.version, old.region, old.attributes, old.members, old.identity, old.status,
            old.changed_by, old.changed_at, new.changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_household_version AFTER UPDATE ON household
    FOR EACH ROW WHEN (old.version <> new.version) EXECUTE FUNCTION keep_household_version();

-- A merge with what is needed to undo it. `same_people`: members of the absorbed household who are members of the other;
-- `identifiers`: [scheme, token, member] that came from the absorbed household.
CREATE TABLE household_merge (
    merge_id         text PRIMARY KEY,
    absorbed_id      text COLLATE "C" NOT NULL,
    survivor_id      text COLLATE "C" NOT NULL,
    absorbed_version integer NOT NULL,
    same_people      jsonb NOT NULL,
    identifiers      jsonb NOT NULL,
    reason           text NOT NULL,
    merged_by        text NOT NULL,
    merged_at        timestamptz NOT NULL DEFAULT now(),
    undone_by        text,
    undone_reason    text,
    undone_at        timestamptz
);
CREATE UNIQUE INDEX household_merge_standing ON household_merge (absorbed_id) WHERE undone_at IS NULL;

-- A change to identity, composition or payee: proposed by one person, decided by another. `sealed`: what is proposed.
CREATE TABLE change_request (
    change_id    text PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('members', 'contact', 'payee', 'move', 'split', 'merge', 'undo-merge')),
    household_id text COLLATE "C" NOT NULL REFERENCES household (household_id),
    reason       text NOT NULL,
    sealed       bytea NOT NULL,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'refused', 'withdrawn')),
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    decided_by   text,
    decision     text,
    decided_at   timestamptz,
    CONSTRAINT two_people CHECK (state NOT IN ('accepted', 'refused') OR decided_by <> proposed_by),
    CONSTRAINT decided CHECK ((state = 'open') = (decided_by IS NULL))
);
CREATE INDEX change_request_open ON change_request (change_id) WHERE state = 'open';
CREATE INDEX change_request_household ON change_request (household_id);
