-- depends: 0075.check-evidence
-- One person of a family, or a group, may be erased as well.
ALTER TABLE erasure
    ADD COLUMN member_id text COLLATE "C",
    ADD COLUMN group_id  text COLLATE "C",
    ALTER COLUMN household_id DROP NOT NULL,
    ADD CONSTRAINT erasure_of_one CHECK (
        (household_id IS NULL) <> (group_id IS NULL) AND (member_id IS NULL OR household_id IS NOT NULL));
DROP INDEX erasure_open;
CREATE UNIQUE INDEX erasure_open ON erasure (coalesce(household_id, group_id), coalesce(member_id, ''))
    WHERE state = 'requested';

-- What erasures of people a restored backup may have undone, by the subject that stands in `erased_subject`.
CREATE TABLE person_erased (
    subject    text COLLATE "C" PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

DO $$ BEGIN
    EXECUTE (SELECT string_agg(format('ALTER TABLE group_version DROP CONSTRAINT %I', conname), '; ')
             FROM pg_constraint WHERE conrelid = 'group_version'::regclass AND contype = 'c'
               AND pg_get_constraintdef(oid) LIKE '%state%');
END $$;
ALTER TABLE group_version
    ADD CONSTRAINT group_version_state CHECK (state IN ('proposed', 'accepted', 'refused', 'erased')),
    ADD CONSTRAINT group_version_decided CHECK ((state = 'proposed') = (decided_by IS NULL)),
    ADD CONSTRAINT group_version_erased CHECK (
        state <> 'erased' OR (content = '{"name": null, "attributes": {}, "members": [], "accreditation": null}'
                              AND sealed IS NULL AND account IS NULL AND note IS NULL));

-- Groups lose everything but their place, kind and region.
CREATE FUNCTION erase_groups(ids text[]) RETURNS void LANGUAGE sql AS $$
    UPDATE group_version SET content = '{"name": null, "attributes": {}, "members": [], "accreditation": null}',
        sealed = NULL, account = NULL, note = NULL, state = 'erased', decided_by = coalesce(decided_by, 'service:registry'),
        decided_at = coalesce(decided_at, now())
    WHERE group_id = ANY(ids) AND state <> 'erased';
    DELETE FROM payee WHERE household_id = ANY(ids);
    DELETE FROM payee_version WHERE household_id = ANY(ids);
$$;

-- What the registry holds of people beside the families' own rows, destroyed; also what cannot be parted from others.
CREATE FUNCTION erase_people(families text[], people text[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM identifier WHERE household_id = ANY(families) AND member_id = ANY(people);
    UPDATE consent SET member_id = NULL, evidence = 'erased' WHERE household_id = ANY(families) AND member_id = ANY(people);
    DELETE FROM guardianship WHERE ward_id = ANY(people) OR guardian_id = ANY(people);
    DELETE FROM payee WHERE household_id = ANY(people);
    DELETE FROM payee_version WHERE household_id = ANY(people);
    UPDATE deceased_identifier SET sealed = NULL
    WHERE match_id IN (SELECT match_id FROM person_death WHERE household_id = ANY(families) AND member_id = ANY(people));
    DELETE FROM person_death WHERE household_id = ANY(families) AND member_id = ANY(people);
    DELETE FROM feed_match WHERE household_id = ANY(families) AND member_id = ANY(people);
    DELETE FROM match_pair WHERE first_id = ANY(people) OR second_id = ANY(people);
    DELETE FROM household_merge WHERE absorbed_id = ANY(families) OR survivor_id = ANY(families);
    DELETE FROM change_request WHERE household_id = ANY(families) AND state <> 'open';
    DELETE FROM nomination WHERE household_id = ANY(families);
$$;
