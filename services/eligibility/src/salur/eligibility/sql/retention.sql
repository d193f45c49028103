-- name: due_appeal_statements$
SELECT count(*) FROM appeal WHERE state <> 'open' AND statement <> '' AND reviewed_at < :before;

-- name: end_appeal_statements$
WITH ended AS (
    UPDATE appeal SET statement = '' WHERE appeal_id IN (
        SELECT appeal_id FROM appeal WHERE state <> 'open' AND statement <> '' AND reviewed_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;
