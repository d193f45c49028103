-- name: insert_erasure^
INSERT INTO erasure (erasure_id, household_id, member_id, group_id, basis, reference, requested_by)
VALUES (:erasure_id, :household_id, :member_id, :group_id, :basis, :reference, :by) ON CONFLICT DO NOTHING RETURNING *;

-- name: erasure_by_id^
SELECT * FROM erasure WHERE erasure_id = :erasure_id;

-- name: lock_erasure^
SELECT e.*, coalesce(h.region, g.region) AS region
FROM erasure e LEFT JOIN household h USING (household_id)
LEFT JOIN LATERAL (SELECT region FROM group_version v WHERE v.group_id = e.group_id ORDER BY version DESC LIMIT 1) g ON true
WHERE erasure_id = :erasure_id FOR UPDATE OF e;

-- name: erasures_after
SELECT e.erasure_id, e.household_id, e.member_id, e.group_id, e.basis, e.reference, e.state, e.requested_by,
       e.requested_at, e.decided_by, e.decided_at, e.reason
FROM erasure e LEFT JOIN household h USING (household_id)
LEFT JOIN LATERAL (SELECT region FROM group_version v WHERE v.group_id = e.group_id ORDER BY version DESC LIMIT 1) g ON true
WHERE e.erasure_id > :after AND (:every OR coalesce(h.region, g.region) LIKE ANY(:patterns::text[]))
  AND (:state::text IS NULL OR e.state = :state)
ORDER BY e.erasure_id LIMIT :most;

-- name: decide_erasure!
UPDATE erasure SET state = :state, decided_by = :by, decided_at = now(), reason = :reason WHERE erasure_id = :erasure_id;

-- name: what_keeps_household^
SELECT EXISTS (SELECT 1 FROM case_file c WHERE c.household_id = :id AND c.state IN ('open', 'in-progress')) AS open_case,
       EXISTS (SELECT 1 FROM change_request c WHERE c.household_id = :id AND c.state = 'open') AS open_change,
       EXISTS (SELECT 1 FROM feed_match m WHERE m.household_id = :id AND m.state = 'open') AS open_match,
       EXISTS (SELECT 1 FROM guardianship g WHERE g.payer_id = :id AND g.household_id <> :id AND g.ended_at IS NULL
               AND g.receives) AS open_guardianship;

-- name: absorbed_by
WITH RECURSIVE family AS (
    SELECT household_id FROM household WHERE household_id = :id
    UNION
    SELECT h.household_id FROM household h JOIN family f ON h.merged_into = f.household_id
)
SELECT h.household_id FROM household h JOIN family USING (household_id) ORDER BY h.household_id FOR UPDATE OF h;

-- name: erase_households!
SELECT erase_households(:ids::text[]);

-- name: erased_households
SELECT household_id, version FROM household WHERE household_id = ANY(:ids::text[]) ORDER BY household_id;

-- name: erased_but_held
-- Families whose key is gone while a restored backup has brought their rows back.
SELECT h.household_id FROM erased_subject e JOIN household h ON h.household_id = e.subject AND h.status <> 'erased'
ORDER BY h.household_id LIMIT :most FOR UPDATE OF h;

-- name: what_keeps_person^
SELECT EXISTS (SELECT 1 FROM change_request c WHERE c.household_id = :id AND c.state = 'open') AS open_change,
       EXISTS (SELECT 1 FROM feed_match m WHERE m.household_id = :id AND m.member_id = :member_id AND m.state = 'open')
           AS open_match,
       EXISTS (SELECT 1 FROM guardianship g WHERE g.guardian_id = :member_id AND g.ended_at IS NULL) AS open_guardianship;

-- name: is_person_known$
SELECT EXISTS (SELECT 1 FROM household h WHERE h.household_id = :id
               AND h.members @> jsonb_build_array(jsonb_build_object('member_id', :member_id::text)))
    OR EXISTS (SELECT 1 FROM household_version v WHERE v.household_id = :id
               AND v.members @> jsonb_build_array(jsonb_build_object('member_id', :member_id::text)));

-- name: sides_of_family
-- Members and names of these families, now (version 0) and of every version before.
SELECT household_id, 0 AS version, members, identity FROM household WHERE household_id = ANY(:ids::text[])
UNION ALL
SELECT household_id, version, members, identity FROM household_version WHERE household_id = ANY(:ids::text[]);

-- name: save_sides!
WITH given AS (
    SELECT * FROM unnest(:ids::text[], :versions::integer[], :members::text[], :identities::bytea[])
        AS g (id, version, members, identity)
), now AS (
    UPDATE household h SET members = g.members::jsonb, identity = g.identity
    FROM given g WHERE g.version = 0 AND h.household_id = g.id
)
UPDATE household_version v SET members = g.members::jsonb, identity = g.identity
FROM given g WHERE v.household_id = g.id AND v.version = g.version;

-- name: same_people
-- Who turned out to be this person when families were merged.
SELECT s.key AS member_id FROM household_merge m CROSS JOIN LATERAL jsonb_each_text(m.same_people) AS s
WHERE (m.absorbed_id = ANY(:ids::text[]) OR m.survivor_id = ANY(:ids::text[])) AND s.value = :member_id;

-- name: former_payees
SELECT household_id, version, sealed FROM payee_version WHERE household_id = ANY(:ids::text[]);

-- name: forget_payee_versions!
DELETE FROM payee_version p USING unnest(:ids::text[], :versions::integer[]) AS g (id, version)
WHERE p.household_id = g.id AND p.version = g.version;

-- name: erase_people!
SELECT erase_people(:families::text[], :people::text[]);

-- name: person_applied!
INSERT INTO person_erased (subject) VALUES (:subject) ON CONFLICT DO NOTHING;

-- name: people_to_erase_again
SELECT e.subject FROM erased_subject e
WHERE position('/' IN e.subject) > 0 AND NOT EXISTS (SELECT FROM person_erased p WHERE p.subject = e.subject)
ORDER BY e.subject LIMIT :most;

-- name: what_keeps_group^
SELECT EXISTS (SELECT 1 FROM group_version g WHERE g.group_id = :id AND g.state = 'proposed') AS open_proposal,
       EXISTS (SELECT 1 FROM guardianship g WHERE g.guardian_id = :id AND g.ended_at IS NULL) AS open_guardianship;

-- name: erase_groups!
SELECT erase_groups(:ids::text[]);

-- name: groups_held
-- Groups whose key is gone while a restored backup has brought their rows back.
SELECT DISTINCT g.group_id FROM erased_subject e JOIN group_version g ON g.group_id = e.subject AND g.state <> 'erased'
ORDER BY g.group_id LIMIT :most;
