-- Matching forgets erased families itself, by the event that tells of them.

-- What the registry holds of these families, destroyed. Their rows stay as the places of what was erased.
CREATE OR REPLACE FUNCTION erase_households(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
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
END $$;
