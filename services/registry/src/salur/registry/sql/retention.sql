-- name: due_case_texts$
SELECT count(*) FROM case_text t JOIN case_file c USING (case_id)
WHERE c.state = 'closed' AND NOT EXISTS (
    SELECT 1 FROM case_text x WHERE x.case_id = t.case_id AND x.written_at >= :before);

-- name: end_case_texts$
WITH ended AS (
    DELETE FROM case_text WHERE text_id IN (
        SELECT t.text_id FROM case_text t JOIN case_file c USING (case_id)
        WHERE c.state = 'closed' AND NOT EXISTS (
            SELECT 1 FROM case_text x WHERE x.case_id = t.case_id AND x.written_at >= :before)
        LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_feed_matches$
SELECT count(*) FROM feed_match WHERE state <> 'open' AND decided_at < :before;

-- name: end_feed_matches$
-- A death stays one; what was kept to take it back goes with its evidence.
WITH due AS MATERIALIZED (
    SELECT match_id FROM feed_match WHERE state <> 'open' AND decided_at < :before LIMIT :most
), undoing AS (
    DELETE FROM person_death WHERE match_id IN (SELECT match_id FROM due)
), numbers AS (
    UPDATE deceased_identifier SET sealed = NULL WHERE match_id IN (SELECT match_id FROM due) AND sealed IS NOT NULL
), ended AS (
    DELETE FROM feed_match WHERE match_id IN (SELECT match_id FROM due) RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_notices$
SELECT count(*) FROM notice WHERE state = 'sent' AND sent_at < :before;

-- name: end_notices$
WITH ended AS (
    DELETE FROM notice WHERE notice_id IN (
        SELECT notice_id FROM notice WHERE state = 'sent' AND sent_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_refused_nominations$
SELECT count(*) FROM nomination WHERE state = 'refused' AND proposed_at < :before;

-- name: end_refused_nominations$
WITH ended AS (
    DELETE FROM nomination WHERE nomination_id IN (
        SELECT nomination_id FROM nomination WHERE state = 'refused' AND proposed_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;

-- name: due_household_records
SELECT household_id FROM household h WHERE status = 'active' AND changed_at < :before
  AND NOT EXISTS (SELECT 1 FROM erasure e WHERE e.household_id = h.household_id AND e.requested_at >= h.changed_at)
ORDER BY household_id LIMIT :most;
