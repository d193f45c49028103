-- name: insert_nomination^
INSERT INTO nomination (nomination_id, nominated_by, region, sealed, content_token, proposed_by)
VALUES (:id, :nominated_by, :region, :sealed, :token, :by) ON CONFLICT DO NOTHING RETURNING *;

-- name: nomination_by_id^
SELECT * FROM nomination WHERE nomination_id = :id;

-- name: lock_nominations
SELECT * FROM nomination WHERE nomination_id = ANY(:ids::text[]) ORDER BY nomination_id FOR UPDATE;

-- name: nominations_after
SELECT nomination_id, version, nominated_by, region, state, proposed_at, meeting_id, household_id, reason FROM nomination
WHERE nomination_id > :after AND (:every OR region LIKE ANY(:patterns::text[]))
  AND (:state::text IS NULL OR state = :state)
ORDER BY nomination_id LIMIT :most;

-- name: verify_nominations
UPDATE nomination n SET version = version + 1, state = g.state, reason = g.reason, meeting_id = :meeting_id
FROM unnest(:ids::text[], :states::text[], :reasons::text[]) AS g (id, state, reason)
WHERE n.nomination_id = g.id RETURNING n.*;

-- name: decide_nomination^
UPDATE nomination SET version = version + 1, state = :state, reason = :reason, household_id = :household_id,
    decided_by = :by
WHERE nomination_id = :id RETURNING *;

-- name: insert_meeting^
INSERT INTO meeting (meeting_id, region, held_on, participants, sealed, content_token, recorded_by)
VALUES (:id, :region, :held_on, :participants::jsonb, :sealed, :token, :by) ON CONFLICT DO NOTHING RETURNING meeting_id;

-- name: meeting_by_id^
SELECT meeting_id, region, held_on, participants, content_token, recorded_by, recorded_at FROM meeting
WHERE meeting_id = :id;
