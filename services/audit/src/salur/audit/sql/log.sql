-- name: lock_size$
SELECT size FROM log_state FOR UPDATE;

-- name: save_size!
UPDATE log_state SET size = :size;

-- name: size$
SELECT size FROM log_state;

-- name: entries_from
SELECT leaf_index, leaf FROM entry WHERE leaf_index >= :first AND leaf_index < :end ORDER BY leaf_index;

-- name: entry_by_event^
SELECT leaf_index, leaf, topic, partition, kafka_offset, stream, sequence, type, event_time
FROM entry WHERE event_id = :event_id ORDER BY leaf_index LIMIT 1;

-- name: insert_claims!
INSERT INTO seal_claim (stream, first, head, range_hash)
SELECT * FROM unnest(:streams::text[], :firsts::bigint[], :heads::bigint[], :hashes::text[])
ON CONFLICT DO NOTHING;

-- name: check_claims
WITH ready AS (
    SELECT c.stream, c.first, c.head, c.range_hash
    FROM seal_claim c JOIN mark m ON m.stream = c.stream AND m.consumer = :consumer AND m.sequence >= c.head
    WHERE c.outcome IS NULL ORDER BY c.stream, c.head LIMIT :most
), judged AS (
    SELECT r.stream, r.head,
           encode(sha256((SELECT string_agg(sha256('\x00'::bytea || e.leaf), ''::bytea ORDER BY e.sequence)
                          FROM entry e WHERE e.stream = r.stream AND e.sequence BETWEEN r.first AND r.head)), 'hex')
               = r.range_hash AS equal
    FROM ready r
)
UPDATE seal_claim c SET outcome = CASE WHEN j.equal THEN 'equal' ELSE 'different' END
FROM judged j WHERE c.stream = j.stream AND c.head = j.head
RETURNING c.stream, c.head, c.outcome,
          (SELECT e.leaf_index FROM entry e WHERE e.stream = c.stream AND e.sequence = c.first) AS first_index;

-- name: completeness
SELECT m.stream, m.sequence AS taken, coalesce(c.head, 0) AS sealed, c.claimed_at,
       coalesce(c.different, 0) AS different, c.missing_since,
       extract(epoch FROM now() - c.missing_since)::float8 AS missing_age_s
FROM mark m
LEFT JOIN LATERAL (
    SELECT max(head) AS head, max(claimed_at) AS claimed_at, count(*) FILTER (WHERE outcome = 'different') AS different,
           min(claimed_at) FILTER (WHERE head > m.sequence) AS missing_since
    FROM seal_claim WHERE seal_claim.stream = m.stream
) c ON true
WHERE m.consumer = :consumer ORDER BY m.stream;

-- name: stream_heads
SELECT stream, max(sequence) AS last, count(*) AS held
FROM entry WHERE stream IS NOT NULL AND leaf_index < :size GROUP BY stream ORDER BY stream COLLATE "C";

-- name: count_entries$
SELECT count(*) FROM entry;
