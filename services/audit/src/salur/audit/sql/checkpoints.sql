-- name: keep_checkpoint!
INSERT INTO checkpoint (size, root, note) VALUES (:size, :root, :note) ON CONFLICT (size) DO NOTHING;

-- name: kept_root$
SELECT root FROM checkpoint WHERE size = :size;

-- name: newest_checkpoint^
SELECT size, root FROM checkpoint ORDER BY size DESC LIMIT 1;

-- name: unannounced
SELECT size, note FROM checkpoint WHERE announced_at IS NULL AND size <= :most_size ORDER BY size LIMIT :most;

-- name: mark_announced!
UPDATE checkpoint SET announced_at = now() WHERE size = ANY(:sizes::bigint[]) AND announced_at IS NULL;

-- name: take_announcer_turn$
SELECT pg_try_advisory_xact_lock(hashtext('salur.announcer'));
