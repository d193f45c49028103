-- name: insert_import^
INSERT INTO bulk_import (import_id, sha256, name, size, mapping, state, actor, regions)
VALUES (:import_id, :sha256, :name, :size, :mapping::jsonb, 'awaiting-content', :actor, :regions::text[])
ON CONFLICT DO NOTHING RETURNING import_id;

-- name: import_by_id^
SELECT import_id, sha256, name, size, mapping, state, reason, actor, next_row, next_offset, households, refused_rows,
       warnings FROM bulk_import WHERE import_id = :import_id;

-- name: lock_import^
SELECT import_id, state, mapping, next_row FROM bulk_import WHERE import_id = :import_id FOR UPDATE;

-- name: restart_import!
UPDATE bulk_import SET state = 'awaiting-content', reason = NULL, name = :name, size = :size, mapping = :mapping::jsonb,
    actor = :actor, regions = :regions::text[]
WHERE import_id = :import_id;

-- name: next_import^
SELECT import_id, mapping, actor, regions, next_row, next_offset FROM bulk_import
WHERE state IN ('queued', 'running') ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: waiting_imports$
SELECT count(*) FROM bulk_import WHERE state IN ('queued', 'running');

-- name: ended_imports
SELECT import_id FROM bulk_import WHERE import_id = ANY(:ids::text[]) AND state IN ('done', 'failed');

-- name: queue_import!
UPDATE bulk_import SET state = 'queued', reason = NULL
WHERE import_id = :import_id AND state IN ('awaiting-content', 'failed');

-- name: fail_import!
UPDATE bulk_import SET state = 'failed', reason = :reason WHERE import_id = :import_id AND state <> 'done';

-- name: refuse_content!
UPDATE bulk_import SET state = 'failed', reason = :reason
WHERE import_id = :import_id AND state IN ('awaiting-content', 'failed');

-- name: finish_import!
UPDATE bulk_import SET state = 'done', reason = NULL WHERE import_id = :import_id;

-- name: progress_import!
UPDATE bulk_import SET state = 'running', next_row = :next_row, next_offset = :next_offset,
    households = households + :households, refused_rows = refused_rows + :refused, warnings = warnings + :warnings
WHERE import_id = :import_id;

-- name: insert_issues!
INSERT INTO bulk_import_issue (import_id, row, "column", severity, reason)
SELECT :import_id, * FROM unnest(:rows::bigint[], :columns::text[], :severities::text[], :reasons::text[])
ON CONFLICT DO NOTHING;

-- name: issues_after
SELECT row, "column", severity, reason FROM bulk_import_issue
WHERE import_id = :import_id AND (row, "column", reason) > (:row, :column, :reason)
ORDER BY row, "column", reason LIMIT :most;
