-- name: insert_case^
INSERT INTO case_file (case_id, category, priority, sensitive, region, household_id, channel, about, due_at,
                       content_token, opened_by)
VALUES (:id, :category, :priority, :sensitive, :region, :household_id, :channel, :about, :due_at, :token, :by)
ON CONFLICT DO NOTHING RETURNING *;

-- name: case_by_id^
SELECT * FROM case_file WHERE case_id = :id;

-- name: lock_case^
SELECT * FROM case_file WHERE case_id = :id FOR UPDATE;

-- name: move_case^
UPDATE case_file SET version = version + 1, state = :state, owner = :owner, outcome = :outcome,
    resolved_by = :resolved_by, closed_by = :closed_by, priority = :priority, due_at = :due_at, overdue = :overdue
WHERE case_id = :id RETURNING *;

-- name: insert_case_text!
INSERT INTO case_text (text_id, case_id, kind, sealed, written_by) VALUES (:id, :case_id, :kind, :sealed, :by);

-- name: case_texts
SELECT text_id, kind, sealed, written_by, written_at FROM case_text WHERE case_id = :case_id ORDER BY text_id;

-- name: cases_after
SELECT case_id, version, category, priority, sensitive, region, household_id, channel, state, owner, outcome, due_at,
       overdue, opened_at
FROM case_file
WHERE case_id > :after AND (:every OR region LIKE ANY(:patterns::text[]))
  AND about IS DISTINCT FROM :actor AND (:sensitive OR NOT sensitive OR :actor IN (owner, opened_by))
  AND (:state::text IS NULL OR state = :state) AND (:category::text IS NULL OR category = :category)
  AND (:owner::text IS NULL OR owner = :owner) AND (NOT :overdue OR overdue)
ORDER BY case_id LIMIT :most;

-- name: count_cases
SELECT category, state, outcome, overdue, count(*) AS cases FROM case_file
WHERE :every OR region LIKE ANY(:patterns::text[])
GROUP BY category, state, outcome, overdue ORDER BY category, state, outcome, overdue;

-- name: mark_overdue_cases
UPDATE case_file SET version = version + 1, overdue = true
WHERE case_id IN (SELECT case_id FROM case_file
                  WHERE due_at < now() AND state IN ('open', 'in-progress') AND NOT overdue
                  ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING *;
