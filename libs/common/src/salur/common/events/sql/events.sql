-- name: declare_topics!
WITH given AS (SELECT * FROM unnest(:names::text[], :partitions::int[]) AS t (name, partitions)),
     topics AS (INSERT INTO topic (name, partitions) SELECT name, partitions FROM given ON CONFLICT DO NOTHING)
SELECT 1;

-- name: declare_streams!
INSERT INTO stream (name, topic, partition)
SELECT t.name || '/' || p, t.name, p FROM topic t CROSS JOIN LATERAL generate_series(0, t.partitions - 1) AS p
WHERE t.name = ANY(:names::text[])
ON CONFLICT DO NOTHING;

-- name: declare_relays!
INSERT INTO relay (stream) SELECT name FROM stream ON CONFLICT DO NOTHING;

-- name: declare_seals!
INSERT INTO seal (stream) SELECT name FROM stream ON CONFLICT DO NOTHING;

-- name: topic_partitions
SELECT name, partitions FROM topic;

-- name: lock_streams
SELECT name, sequence, fenced FROM stream WHERE name = ANY(:names::text[]) ORDER BY name FOR UPDATE;

-- name: lock_all_streams
SELECT name FROM stream ORDER BY name FOR UPDATE;

-- name: events_at
SELECT e.stream, e.id FROM unnest(:streams::text[], :sequences::bigint[]) AS g (stream, sequence)
JOIN event e ON e.stream = g.stream AND e.sequence = g.sequence;

-- name: advance_streams!
UPDATE stream s SET sequence = g.head
FROM unnest(:names::text[], :heads::bigint[]) AS g (name, head) WHERE s.name = g.name;

-- name: notify!
SELECT pg_notify('salur_events', '');

-- name: subject_keys
SELECT subject, sealed FROM subject_key WHERE subject = ANY(:subjects::text[]);

-- name: insert_subject_keys
INSERT INTO subject_key (subject, sealed)
SELECT g.subject, g.sealed FROM unnest(:subjects::text[], :sealed::bytea[]) AS g (subject, sealed)
WHERE NOT EXISTS (SELECT 1 FROM erased_subject e WHERE e.subject = g.subject)
ON CONFLICT DO NOTHING RETURNING subject;

-- name: erase_subjects$
-- The rows stay as places, so that whoever is sent an event again is told that its values are gone for good.
WITH gone AS (
    INSERT INTO erased_subject (subject, erasure_id)
    SELECT * FROM unnest(:subjects::text[], :erasure_ids::text[]) ON CONFLICT DO NOTHING
), emptied AS (
    UPDATE event_personal SET sealed = '' WHERE subject = ANY(:subjects::text[])
), letters AS (
    UPDATE dead_letter SET sealed = '', reason = 'erased', state = 'replayed', resolved_at = coalesce(resolved_at, now())
    WHERE key = ANY(:subjects::text[])
), keys AS (
    DELETE FROM subject_key WHERE subject = ANY(:subjects::text[]) RETURNING 1
)
SELECT count(*) FROM keys;

-- name: personal_of_subject
SELECT p.stream, p.sequence, p.sealed, e.body
FROM event_personal p JOIN event e ON e.stream = p.stream AND e.sequence = p.sequence
WHERE p.subject = :subject AND p.sealed <> '' ORDER BY p.stream, p.sequence FOR UPDATE OF p;

-- name: save_personal!
UPDATE event_personal p SET sealed = g.sealed
FROM unnest(:streams::text[], :sequences::bigint[], :sealed::bytea[]) AS g (stream, sequence, sealed)
WHERE p.stream = g.stream AND p.sequence = g.sequence;

-- name: lock_subject_key$
SELECT sealed FROM subject_key WHERE subject = :subject FOR UPDATE;

-- name: replace_subject_key!
UPDATE subject_key SET sealed = :sealed WHERE subject = :subject;

-- name: empty_replayed_letters!
UPDATE dead_letter SET sealed = '' WHERE key = :subject AND state = 'replayed' AND sealed <> '';

-- name: stream_heads
SELECT s.name AS stream, s.sequence AS head, s.fenced, r.published
FROM stream s JOIN relay r ON r.stream = s.name ORDER BY s.name;

-- name: unpublished
SELECT e.stream, e.sequence, e.key, e.body, p.sealed, k.sealed AS subject_key, p.subject
FROM unnest(:streams::text[], :after::bigint[]) AS c (stream, after)
JOIN stream s ON s.name = c.stream AND s.sequence > c.after
CROSS JOIN LATERAL (
    SELECT stream, sequence, key, body FROM event
    WHERE event.stream = c.stream AND event.sequence > c.after ORDER BY event.sequence LIMIT :per_stream
) e
LEFT JOIN event_personal p ON p.stream = e.stream AND p.sequence = e.sequence
LEFT JOIN subject_key k ON k.subject = p.subject
ORDER BY e.stream, e.sequence
LIMIT :most;

-- name: published_marks
SELECT r.stream, r.published, r.republishes, s.topic, s.partition FROM relay r JOIN stream s ON s.name = r.stream;

-- name: save_published!
-- A republish that came since the relay read its marks stands.
UPDATE relay r SET published = g.published
FROM unnest(:streams::text[], :republishes::int[], :published::bigint[]) AS g (stream, republishes, published)
WHERE r.stream = g.stream AND r.republishes = g.republishes AND r.published < g.published;

-- name: republish_from!
UPDATE relay SET published = least(published, greatest(:sequence::bigint - 1, 0)), republishes = republishes + 1
WHERE stream = :stream;

-- name: fence!
UPDATE stream SET fenced = true;

-- name: unfence!
UPDATE stream SET fenced = false;

-- name: declare_marks!
INSERT INTO mark (consumer, stream) SELECT :consumer, s FROM unnest(:streams::text[]) AS s ON CONFLICT DO NOTHING;

-- name: read_marks
SELECT stream, sequence, kafka_offset FROM mark WHERE consumer = :consumer AND stream = ANY(:streams::text[]);

-- name: all_marks
SELECT consumer, stream, sequence, kafka_offset FROM mark ORDER BY consumer, stream;

-- name: lock_marks
SELECT stream, sequence, kafka_offset FROM mark
WHERE consumer = :consumer AND stream = ANY(:streams::text[]) ORDER BY stream FOR UPDATE;

-- name: save_marks!
UPDATE mark m SET sequence = g.sequence, kafka_offset = g.kafka_offset
FROM unnest(:streams::text[], :sequences::bigint[], :offsets::bigint[]) AS g (stream, sequence, kafka_offset)
WHERE m.consumer = :consumer AND m.stream = g.stream;

-- name: blocked_keys
SELECT DISTINCT key FROM dead_letter
WHERE consumer = ANY(:consumers::text[]) AND key = ANY(:keys::text[]) AND state IN ('raised', 'parked');

-- name: any_blocked$
SELECT EXISTS (SELECT 1 FROM dead_letter WHERE consumer = ANY(:consumers::text[]) AND state IN ('raised', 'parked'));

-- name: count_blocked$
SELECT count(*) FROM (SELECT DISTINCT consumer, key FROM dead_letter WHERE state IN ('raised', 'parked')) AS blocked;

-- name: insert_dead_letters!
INSERT INTO dead_letter (id, consumer, topic, partition, kafka_offset, stream, sequence, key, state, reason, sealed)
SELECT id, :consumer, topic, partition, kafka_offset, stream, sequence, key, state, reason, sealed
FROM unnest(:ids::uuid[], :topics::text[], :partitions::int[], :offsets::bigint[], :streams::text[],
            :sequences::bigint[], :keys::text[], :states::text[], :reasons::text[], :sealed::bytea[])
    AS g (id, topic, partition, kafka_offset, stream, sequence, key, state, reason, sealed);

-- name: insert_foreign
INSERT INTO foreign_record (consumer, stream, kafka_offset, content_hash)
SELECT :consumer, * FROM unnest(:streams::text[], :offsets::bigint[], :hashes::bytea[])
ON CONFLICT DO NOTHING RETURNING stream, kafka_offset;

-- name: lock_all_marks
SELECT stream FROM mark WHERE consumer = :consumer ORDER BY stream FOR UPDATE;

-- name: dead_letters
SELECT id, consumer, topic, partition, kafka_offset, stream, sequence, state, reason, raised_at, resolved_at
FROM dead_letter WHERE id > :after::uuid ORDER BY id LIMIT :most;

-- name: dead_letter_by_id^
SELECT id, consumer, key, state FROM dead_letter WHERE id = :id;

-- name: dead_letters_of_key
SELECT id, topic, partition, kafka_offset, stream, sequence, sealed FROM dead_letter
WHERE consumer = :consumer AND key = :key AND state IN ('raised', 'parked')
ORDER BY stream, sequence FOR UPDATE;

-- name: resolve_dead_letters!
UPDATE dead_letter SET state = 'replayed', resolved_at = now() WHERE id = ANY(:ids::uuid[]);

-- name: unsealed
SELECT s.name AS stream, l.sealed, s.sequence AS head,
       (SELECT count(*) FROM event e
        WHERE e.stream = s.name AND e.sequence > l.sealed AND e.sequence <= s.sequence
          AND e.type <> 'salur.service.sealed.v1') AS facts
FROM seal l JOIN stream s ON s.name = l.stream WHERE s.sequence > l.sealed ORDER BY s.name;

-- name: range_hashes
SELECT g.stream, g.sealed, g.head,
       encode(sha256((SELECT string_agg(sha256('\x00'::bytea || e.body), ''::bytea ORDER BY e.sequence)
                      FROM event e WHERE e.stream = g.stream AND e.sequence > g.sealed AND e.sequence <= g.head)),
              'hex') AS range_hash
FROM unnest(:streams::text[], :sealed::bigint[], :heads::bigint[]) AS g (stream, sealed, head);

-- name: save_seals!
UPDATE seal l SET sealed = g.head FROM unnest(:streams::text[], :heads::bigint[]) AS g (stream, head)
WHERE l.stream = g.stream;

-- name: wait_for_seal_turn^
-- Evaluated from left to right: the wait is bounded, what follows in the transaction is not.
SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock(hashtext('salur.seal')),
       set_config('lock_timeout', '0', true);

-- name: take_recover_turn
SELECT pg_advisory_xact_lock(hashtext('salur.recover'));

-- name: event_with_personal^
SELECT e.body, p.sealed, p.subject, k.sealed AS subject_key FROM event e
LEFT JOIN event_personal p ON p.stream = e.stream AND p.sequence = e.sequence
LEFT JOIN subject_key k ON k.subject = p.subject
WHERE e.stream = :stream AND e.sequence = :sequence;

-- name: due_letters$
SELECT count(*) FROM dead_letter WHERE state = 'replayed' AND sealed <> '' AND resolved_at < :before;

-- name: end_letters$
WITH ended AS (
    UPDATE dead_letter SET sealed = '' WHERE id IN (
        SELECT id FROM dead_letter WHERE state = 'replayed' AND sealed <> '' AND resolved_at < :before LIMIT :most)
    RETURNING 1
)
SELECT count(*) FROM ended;
