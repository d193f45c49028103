-- name: due_checked_seals$
SELECT count(*) FROM seal_claim c
WHERE c.outcome = 'equal' AND c.claimed_at < :before
  AND EXISTS (SELECT FROM seal_claim n WHERE n.stream = c.stream AND n.head > c.head);

-- name: end_checked_seals$
WITH ended AS (
    DELETE FROM seal_claim WHERE (stream, head) IN (
        SELECT c.stream, c.head FROM seal_claim c
        WHERE c.outcome = 'equal' AND c.claimed_at < :before
          AND EXISTS (SELECT FROM seal_claim n WHERE n.stream = c.stream AND n.head > c.head) LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_closed_flags$
SELECT count(*) FROM flag WHERE state = 'closed' AND changed_at < :before;

-- name: end_closed_flags$
WITH ended AS (
    DELETE FROM flag WHERE flag_id IN (
        SELECT flag_id FROM flag WHERE state = 'closed' AND changed_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_outside_records$
SELECT count(*) FROM outside_record WHERE sealed <> '' AND taken_at < :before;

-- name: end_outside_records$
WITH ended AS (
    UPDATE outside_record SET sealed = '' WHERE leaf_index IN (
        SELECT leaf_index FROM outside_record WHERE sealed <> '' AND taken_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_saved_questions$
SELECT count(*) FROM saved_query WHERE saved_at < :before;

-- name: end_saved_questions$
WITH ended AS (
    DELETE FROM saved_query WHERE (owner, name) IN (
        SELECT owner, name FROM saved_query WHERE saved_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;
