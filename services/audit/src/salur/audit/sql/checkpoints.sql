-- name: keep_checkpoint!
INSERT INTO checkpoint (size, root, note) VALUES (:size, :root, :note) ON CONFLICT (size) DO NOTHING;

-- name: kept_root$
SELECT root FROM checkpoint WHERE size = :size;

-- name: newest_checkpoint^
SELECT size, root FROM checkpoint ORDER BY size DESC LIMIT 1;

-- name: unannounced
SELECT c.size, c.note || convert_to(coalesce(
           (SELECT string_agg(line, '' ORDER BY line COLLATE "C") FROM cosignature s WHERE s.size = c.size), ''), 'UTF8')
       AS note
FROM checkpoint c WHERE c.announced_at IS NULL AND c.size <= :most_size ORDER BY c.size LIMIT :most;

-- name: cosignatures
SELECT witness, line FROM cosignature WHERE size = :size;

-- name: keep_cosignatures!
INSERT INTO cosignature (size, witness, line)
SELECT :size, * FROM unnest(:witnesses::text[], :lines::text[]) ON CONFLICT DO NOTHING;

-- name: cosigned_sizes
SELECT witness, max(size) AS size, max(taken_at) AS taken_at FROM cosignature GROUP BY witness ORDER BY witness;

-- name: mark_announced!
UPDATE checkpoint SET announced_at = now() WHERE size = ANY(:sizes::bigint[]) AND announced_at IS NULL;

-- name: take_announcer_turn$
SELECT pg_try_advisory_xact_lock(hashtext('salur.announcer'));
