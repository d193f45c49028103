-- Who acts for a child or a person under guardianship, and whether they receive for them. `guardian_id`: a member's id, or
-- an institution's. `payer_id`: whose account is used (the guardian's family, or the institution). Rows are never changed
-- but for their end.
CREATE TABLE guardianship (
    guardianship_id text COLLATE "C" PRIMARY KEY,
    ward_id         text COLLATE "C" NOT NULL,
    household_id    text COLLATE "C" NOT NULL,
    guardian_kind   text NOT NULL CHECK (guardian_kind IN ('person', 'institution')),
    guardian_id     text COLLATE "C" NOT NULL,
    payer_id        text COLLATE "C" NOT NULL,
    receives        boolean NOT NULL,
    evidence        text NOT NULL,
    since           date NOT NULL,
    until           date,
    made_by         text NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT now(),
    ended_by        text,
    ended_at        timestamptz,
    CHECK (ward_id <> guardian_id),
    CHECK (until IS NULL OR until >= since),
    CHECK ((ended_by IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX guardianship_one ON guardianship (ward_id) WHERE ended_at IS NULL;
CREATE INDEX guardianship_payer ON guardianship (payer_id) WHERE ended_at IS NULL AND receives;
CREATE INDEX guardianship_household ON guardianship (household_id);
CREATE INDEX guardianship_until ON guardianship (until) WHERE ended_at IS NULL AND until IS NOT NULL;

-- A confirmed death with what is needed to take it back: the version of the family before it, whether its account was
-- suspended for it, and the numbers, sealed.
CREATE TABLE person_death (
    match_id     text COLLATE "C" PRIMARY KEY REFERENCES feed_match,
    household_id text COLLATE "C" NOT NULL,
    member_id    text COLLATE "C" NOT NULL,
    version      integer NOT NULL,
    suspended    boolean NOT NULL,
    undone_by    text,
    undone_at    timestamptz
);
CREATE INDEX person_death_household ON person_death (household_id);

ALTER TABLE deceased_identifier
    ADD COLUMN match_id text COLLATE "C",
    ADD COLUMN sealed   bytea;
CREATE INDEX deceased_identifier_match ON deceased_identifier (match_id);

ALTER TABLE change_request DROP CONSTRAINT change_request_kind_check;
ALTER TABLE change_request ADD CONSTRAINT change_request_kind_check CHECK (
    kind IN ('members', 'contact', 'payee', 'move', 'split', 'merge', 'undo-merge', 'guardian', 'undo-death')
);

-- When a family is erased, so are its wards' accounts and what would take a death back. It runs before the erasure takes
-- the evidence away.
CREATE FUNCTION erase_guardianships() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wards text[] := ARRAY(SELECT ward_id FROM guardianship WHERE household_id = new.household_id);
BEGIN
    DELETE FROM payee WHERE household_id = ANY(wards);
    DELETE FROM payee_version WHERE household_id = ANY(wards);
    DELETE FROM guardianship WHERE household_id = new.household_id;
    UPDATE deceased_identifier SET sealed = NULL
    WHERE match_id IN (SELECT match_id FROM person_death WHERE household_id = new.household_id);
    DELETE FROM person_death WHERE household_id = new.household_id;
    RETURN NULL;
END $$;
CREATE TRIGGER erase_guardianships AFTER UPDATE ON household
    FOR EACH ROW WHEN (new.status = 'erased' AND old.status <> 'erased') EXECUTE FUNCTION erase_guardianships();
