-- name: insert_change!
INSERT INTO change_request (change_id, kind, household_id, reason, sealed, proposed_by)
VALUES (:change_id, :kind, :household_id, :reason, :sealed, :proposed_by);

-- name: change^
SELECT c.change_id, c.kind, c.household_id, c.reason, c.sealed, c.state, c.proposed_by, c.proposed_at, c.decided_by,
       c.decision, c.decided_at, h.region
FROM change_request c JOIN household h USING (household_id) WHERE c.change_id = :change_id;

-- name: lock_change^
SELECT change_id, kind, household_id, sealed, state, proposed_by FROM change_request
WHERE change_id = :change_id FOR UPDATE;

-- name: decide_change!
UPDATE change_request SET state = :state, decided_by = :actor, decision = :decision, decided_at = now()
WHERE change_id = :change_id;

-- name: changes_after
SELECT c.change_id, c.kind, c.household_id, c.reason, c.state, c.proposed_by, c.proposed_at, h.region
FROM change_request c JOIN household h USING (household_id)
WHERE c.state = :state AND c.change_id > :after AND (:every::boolean OR h.region LIKE ANY(:patterns::text[]))
ORDER BY c.change_id LIMIT :most;
