-- Requests to erase a family, by one person, decided by another; a retention that has ended is requested by the service.
CREATE TABLE erasure (
    erasure_id   text PRIMARY KEY,
    household_id text COLLATE "C" NOT NULL REFERENCES household (household_id),
    basis        text NOT NULL,
    reference    text NOT NULL,
    state        text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'accepted', 'refused')),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    decided_by   text,
    decided_at   timestamptz,
    reason       text,
    CONSTRAINT erasure_decided CHECK ((state = 'requested') = (decided_by IS NULL)),
    CONSTRAINT erasure_two_people CHECK (decided_by <> requested_by)
);
CREATE UNIQUE INDEX erasure_open ON erasure (household_id) WHERE state = 'requested';

ALTER TABLE household DROP CONSTRAINT household_status_check,
    ADD CONSTRAINT household_status_check CHECK (status IN ('active', 'merged', 'erased')),
    ADD CONSTRAINT household_erased CHECK (
        status <> 'erased' OR (attributes = '{}' AND members = '[]' AND identity IS NULL AND content_token = ''));

-- What the registry holds of these families, destroyed. Their rows stay as the places of what was erased.
CREATE FUNCTION erase_households(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    people text[] := ARRAY(SELECT DISTINCT m ->> 'member_id' FROM (
        SELECT members FROM household WHERE household_id = ANY(ids)
        UNION ALL SELECT members FROM household_version WHERE household_id = ANY(ids)) AS v,
        jsonb_array_elements(v.members) AS m);
BEGIN
    UPDATE household SET version = version + 1, status = 'erased', merged_into = NULL, attributes = '{}', members = '[]',
        identity = NULL, content_token = '', changed_by = NULL, changed_at = clock_timestamp()
    WHERE household_id = ANY(ids) AND status <> 'erased';
    UPDATE household_version SET attributes = '{}', members = '[]', identity = NULL WHERE household_id = ANY(ids);
    DELETE FROM identifier WHERE household_id = ANY(ids);
    DELETE FROM payee WHERE household_id = ANY(ids);
    DELETE FROM payee_version WHERE household_id = ANY(ids);
    DELETE FROM household_merge WHERE absorbed_id = ANY(ids) OR survivor_id = ANY(ids);
    DELETE FROM change_request WHERE household_id = ANY(ids);
    UPDATE consent SET member_id = NULL, evidence = 'erased' WHERE household_id = ANY(ids);
    DELETE FROM case_text t USING case_file c WHERE c.case_id = t.case_id AND c.household_id = ANY(ids);
    DELETE FROM notice WHERE household_id = ANY(ids);
    DELETE FROM noticed_outcome WHERE household_id = ANY(ids);
    DELETE FROM feed_match WHERE household_id = ANY(ids);
    DELETE FROM nomination WHERE household_id = ANY(ids);
    DELETE FROM match_pair WHERE first_id = ANY(people) OR second_id = ANY(people);
    DELETE FROM match_key k USING match_person p WHERE k.person_id = p.person_id AND p.household_id = ANY(ids);
    UPDATE match_name n SET people = n.people - f.people
    FROM (SELECT name_token, count(*) AS people FROM match_person WHERE household_id = ANY(ids) GROUP BY 1) AS f
    WHERE n.token = f.name_token;
    DELETE FROM match_person WHERE household_id = ANY(ids);
END $$;
