-- name: insert_erasure^
INSERT INTO erasure (erasure_id, household_id, basis, reference, requested_by)
VALUES (:erasure_id, :household_id, :basis, :reference, :by) ON CONFLICT DO NOTHING RETURNING *;

-- name: erasure_by_id^
SELECT e.*, h.region FROM erasure e JOIN household h USING (household_id) WHERE erasure_id = :erasure_id;

-- name: lock_erasure^
SELECT e.*, h.region FROM erasure e JOIN household h USING (household_id) WHERE erasure_id = :erasure_id FOR UPDATE;

-- name: erasures_after
SELECT e.erasure_id, e.household_id, e.basis, e.reference, e.state, e.requested_by, e.requested_at, e.decided_by,
       e.decided_at, e.reason
FROM erasure e JOIN household h USING (household_id)
WHERE e.erasure_id > :after AND (:every OR h.region LIKE ANY(:patterns::text[]))
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
