-- name: other_bytes
-- Of these repeats, the ones whose bytes are not the entry's, and that were not seen before.
SELECT r.place
FROM unnest(:streams::text[], :sequences::bigint[], :leaf_hashes::bytea[], :topics::text[], :partitions::integer[],
            :offsets::bigint[])
     WITH ORDINALITY AS r (stream, sequence, leaf_hash, topic, partition, kafka_offset, place)
JOIN entry e ON e.stream = r.stream AND e.sequence = r.sequence
WHERE sha256(e.leaf) <> r.leaf_hash
  AND NOT EXISTS (SELECT FROM equivocation q WHERE q.topic = r.topic AND q.partition = r.partition
                                               AND q.kafka_offset = r.kafka_offset)
ORDER BY r.place;

-- name: insert_equivocations!
INSERT INTO equivocation (topic, partition, kafka_offset, stream, sequence, leaf_index)
SELECT * FROM unnest(:topics::text[], :partitions::integer[], :offsets::bigint[], :streams::text[],
                     :sequences::bigint[], :indexes::bigint[]);

-- name: equivocations
SELECT stream, sequence, leaf_index, seen_at FROM equivocation ORDER BY leaf_index LIMIT :most;

-- name: overdue_seals
-- Streams with a fact that no seal covers, older than it may be. Times are compared as text: all are UTC, ISO 8601.
SELECT m.stream, fact.event_time, coalesce(claim.head, 0) AS sealed, m.sequence AS taken
FROM mark m
LEFT JOIN LATERAL (SELECT max(head) AS head FROM seal_claim WHERE seal_claim.stream = m.stream) claim ON true
JOIN LATERAL (SELECT event_time FROM entry
              WHERE entry.stream = m.stream AND entry.sequence > coalesce(claim.head, 0)
                AND entry.type <> 'salur.service.sealed.v1'
              ORDER BY entry.sequence LIMIT 1) fact ON true
WHERE m.consumer = :consumer AND m.sequence > coalesce(claim.head, 0)
  AND fact.event_time < to_char(now() AT TIME ZONE 'UTC' - make_interval(secs => :age_s), 'YYYY-MM-DD"T"HH24:MI:SS')
ORDER BY m.stream;
