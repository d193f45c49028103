-- name: insert_import^
INSERT INTO bulk_import (import_id, sha256, name, size, mapping, state, actor, regions)
VALUES (:import_id, :sha256, :name, :size, :mapping::jsonb, 'awaiting-content', :actor, :regions::text[])
ON CONFLICT DO NOTHING RETURNING import_id;

-- name: import_by_id^
SELECT import_id, sha256, name, size, mapping, state, reason, actor, next_row, next_offset, households, refused_rows,
       warnings, changed, unchanged, absent FROM bulk_import WHERE import_id = :import_id;

-- name: lock_import^
SELECT import_id, state, mapping, next_row, actor, regions FROM bulk_import WHERE import_id = :import_id FOR UPDATE;

-- name: restart_import!
UPDATE bulk_import SET state = 'awaiting-content', reason = NULL, name = :name, size = :size, mapping = :mapping::jsonb,
    actor = :actor, regions = :regions::text[]
WHERE import_id = :import_id;

-- name: next_import^
SELECT import_id, size, mapping, actor, regions, next_row, next_offset FROM bulk_import
WHERE state IN ('queued', 'running') ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: waiting_imports$
SELECT count(*) FROM bulk_import WHERE state IN ('queued', 'running');

-- name: ended_imports
SELECT import_id FROM bulk_import WHERE import_id = ANY(:ids::text[]) AND state IN ('done', 'failed');

-- name: queue_import$
UPDATE bulk_import SET reason = NULL, accepted_by = NULL,
    state = CASE mapping->>'known' WHEN 'update' THEN 'awaiting-acceptance' ELSE 'queued' END
WHERE import_id = :import_id AND state IN ('awaiting-content', 'failed') RETURNING state;

-- name: accept_import!
UPDATE bulk_import SET state = 'queued', accepted_by = :actor WHERE import_id = :import_id;

-- name: fail_import!
UPDATE bulk_import SET state = 'failed', reason = :reason WHERE import_id = :import_id AND state <> 'done';

-- name: refuse_content!
UPDATE bulk_import SET state = 'failed', reason = :reason
WHERE import_id = :import_id AND state IN ('awaiting-content', 'failed');

-- name: finish_import!
UPDATE bulk_import SET state = 'done', reason = NULL WHERE import_id = :import_id;

-- name: progress_import!
UPDATE bulk_import SET state = 'running', next_row = :next_row, next_offset = :next_offset,
    households = households + :households, changed = changed + :changed, unchanged = unchanged + :unchanged, refused_rows = refused_rows + :refused, warnings = warnings + :warnings
WHERE import_id = :import_id;

-- name: record_absent!
-- Households of the numbering that neither this import nor a later one has stated, in the regions of who sent the file.
WITH missing AS (
    INSERT INTO bulk_import_absent (import_id, household_id)
    SELECT :import_id, i.household_id FROM identifier i JOIN household h USING (household_id)
    WHERE i.scheme = :scheme AND i.member_id IS NULL AND h.import_id IS DISTINCT FROM :import_id
      AND h.registered_at < (SELECT created_at FROM bulk_import WHERE import_id = :import_id)
      AND (cardinality(:regions::text[]) = 0
           OR EXISTS (SELECT FROM unnest(:regions::text[]) AS r WHERE h.region = r OR h.region LIKE r || '.%'))
    ON CONFLICT DO NOTHING RETURNING 1)
UPDATE bulk_import SET absent = (SELECT count(*) FROM missing) WHERE import_id = :import_id;

-- name: absent_after
SELECT household_id FROM bulk_import_absent WHERE import_id = :import_id AND household_id > :after
ORDER BY household_id LIMIT :most;

-- name: insert_issues!
INSERT INTO bulk_import_issue (import_id, row, "column", severity, reason)
SELECT :import_id, * FROM unnest(:rows::bigint[], :columns::text[], :severities::text[], :reasons::text[])
ON CONFLICT DO NOTHING;

-- name: issues_after
SELECT row, "column", severity, reason FROM bulk_import_issue
WHERE import_id = :import_id AND (row, "column", reason) > (:row, :column, :reason)
ORDER BY row, "column", reason LIMIT :most;
