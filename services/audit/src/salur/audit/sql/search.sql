-- name: lock_indexed^
SELECT indexed, search_width() AS width FROM search_state FOR UPDATE;

-- name: save_indexed!
UPDATE search_state SET indexed = :indexed;

-- name: search_partition$
SELECT search_partition(:first, :blocks);

-- name: entries_to_index
SELECT leaf, topic, partition, kafka_offset, stream, type, subject, event_time
FROM entry WHERE leaf_index >= :first AND leaf_index < :end ORDER BY leaf_index;

-- name: entries_at
SELECT leaf, topic, partition, kafka_offset, stream, type, subject, leaf_index, event_time
FROM entry WHERE leaf_index = ANY (:leaves::bigint[]) ORDER BY leaf_index;

-- name: hits
SELECT hit.leaf_index
FROM search_hits(:terms, NULL, NULL, NULL, :first::bigint - 1, :finish, :most) AS hit (leaf_index);

-- name: shared_hits
-- Of each of `terms`, the entries that have `other` too.
SELECT asked.term, hit.leaf_index
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL search_hits(ARRAY[asked.term, :other], NULL, NULL, NULL, -1, :finish, :most) AS hit (leaf_index);

-- name: implied_by
SELECT i.term, i.implied
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL (
    SELECT term, implied FROM search_implies WHERE term = asked.term COLLATE "C" OFFSET 0
) i;

-- name: save_implied!
INSERT INTO search_implies (term, implied)
SELECT * FROM unnest(:terms::text[], :implied::text[]);

-- name: postings_of
-- Where terms stand, with the places of entries that name a region of their own.
SELECT p.term, p.block, p.places, b.own_region
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL (
    SELECT term, block, places FROM search_posting WHERE term = asked.term COLLATE "C" OFFSET 0
) p
CROSS JOIN LATERAL (SELECT own_region FROM search_block WHERE block = p.block OFFSET 0) b;

-- name: save_blocks!
INSERT INTO search_block AS b (block, entries, earliest, latest, own_region)
SELECT block, entries, earliest, latest, own_region::smallint[]
FROM unnest(:blocks::bigint[], :entries::integer[], :earliest::timestamptz[], :latest::timestamptz[], :own_region::text[])
     AS f (block, entries, earliest, latest, own_region)
ON CONFLICT (block) DO UPDATE SET
    entries = b.entries + excluded.entries, earliest = least(b.earliest, excluded.earliest),
    latest = greatest(b.latest, excluded.latest), own_region = b.own_region || excluded.own_region;

-- name: save_postings!
-- New entries stand behind the known ones; what was learnt about earlier entries goes between them.
INSERT INTO search_posting AS p (term, block, places)
SELECT term, block, places::smallint[] FROM unnest(:terms::text[], :blocks::bigint[], :places::text[]) AS f (term, block, places)
ON CONFLICT (term, block) DO UPDATE SET
    places = CASE WHEN p.places[cardinality(p.places)] < excluded.places[1] THEN p.places || excluded.places
             ELSE ARRAY(SELECT DISTINCT unnest(p.places || excluded.places) ORDER BY 1) END;

-- name: log_progress^
-- Entries committed, known to search, and read by every rule for flags.
SELECT l.size, s.indexed, coalesce((SELECT min(r.checked) FROM flag_rule r WHERE r.rule = ANY (:rules::text[])), 0) AS checked
FROM log_state l, search_state s;

-- name: search_lag^
-- Entries not indexed yet, and how long the oldest of them has waited by its event time.
SELECT l.size - s.indexed AS entries, s.indexed,
       coalesce((SELECT extract(epoch FROM now() - e.event_time::timestamptz) FROM entry e
                 WHERE e.leaf_index = s.indexed AND pg_input_is_valid(e.event_time, 'timestamptz')), 0)::float8 AS age_s
FROM log_state l, search_state s;

-- name: search_page
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM search_hits(:terms, :scope, :since, :until, :after, :before, :most) AS hit (leaf_index) JOIN entry e USING (leaf_index)
ORDER BY e.leaf_index;

-- name: search_event$
SELECT min(leaf_index) FROM search_event(:name) AS hit (leaf_index);

-- name: term_counts
-- How many entries have each term, counted up to a limit of blocks: the rarest leads the search.
SELECT asked.term, counted.entries
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(cardinality(places)), 0) AS entries
    FROM (SELECT places FROM search_posting WHERE term = asked.term COLLATE "C" LIMIT :most) AS first_blocks
) counted;

-- name: cause_chain
-- An event, what led to it and what it led to, step by step up to a limit of entries; the nearest first.
WITH RECURSIVE up AS (
    SELECT leaf_index, 0 AS step FROM search_event(:start::text) AS hit (leaf_index)
    UNION
    SELECT cause.leaf_index, up.step - 1
    FROM up JOIN entry e ON e.leaf_index = up.leaf_index AND e.stream IS NOT NULL
    CROSS JOIN LATERAL search_event(search_document(e.leaf) ->> 'cause') AS cause (leaf_index)
    WHERE up.step > -(:steps::integer)
), down AS (
    SELECT leaf_index, step FROM up WHERE step = 0
    UNION
    SELECT t.leaf_index, down.step + 1
    FROM down JOIN entry e ON e.leaf_index = down.leaf_index
    CROSS JOIN LATERAL (
        SELECT p.block * search_width() + o.place AS leaf_index
        FROM search_posting p CROSS JOIN LATERAL unnest(p.places) AS o (place)
        WHERE p.term = ('cause=' || CASE WHEN e.stream IS NULL THEN e.topic || '/' || e.partition || '/' || e.kafka_offset
                                    ELSE e.event_id END) COLLATE "C"
        ORDER BY 1 LIMIT :most
    ) t
    WHERE down.step < :steps::integer
), linked AS (
    SELECT leaf_index, min(abs(step)) AS distance FROM (SELECT * FROM up UNION ALL SELECT * FROM down) AS both_ways
    GROUP BY leaf_index ORDER BY distance, leaf_index LIMIT :most
)
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM linked l JOIN entry e USING (leaf_index)
WHERE :scope::text[] IS NULL OR EXISTS (
    SELECT 1 FROM search_posting p
    WHERE p.term = ANY (:scope) AND p.block = l.leaf_index / search_width()
      AND (l.leaf_index % search_width())::smallint = ANY (p.places))
ORDER BY e.leaf_index;

-- name: save_question!
INSERT INTO saved_query (owner, name, question) VALUES (:owner, :name, :question)
ON CONFLICT (owner, name) DO UPDATE SET question = excluded.question, saved_at = now();

-- name: saved_questions
SELECT name, question, saved_at FROM saved_query WHERE owner = :owner ORDER BY name LIMIT :most;

-- name: entries_named
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM unnest(:names::text[]) AS asked (name)
CROSS JOIN LATERAL search_event(asked.name) AS hit (leaf_index)
JOIN entry e USING (leaf_index)
WHERE e.stream IS NULL ORDER BY e.leaf_index;

-- name: personal_reads
-- Whose personal values somebody read in a time, counted by subject, kind, field and reason.
SELECT e.topic, d.subject, d.kind, d.field, d.reason, count(*) AS reads,
       min(search_time(e.event_time)) AS first_at, max(search_time(e.event_time)) AS last_at
FROM search_hits(:terms, NULL, :since, :until, -1, :before, :before) AS hit (leaf_index) JOIN entry e USING (leaf_index)
CROSS JOIN LATERAL json_to_record(search_document(e.leaf) -> 'data') AS d (subject text, kind text, field text, reason text)
GROUP BY e.topic, d.subject, d.kind, d.field, d.reason
ORDER BY d.subject, d.kind, d.field, e.topic, d.reason LIMIT :most;

-- name: money
-- Per type of event that moves or promises money: how many entries and how much, by currency.
SELECT e.type, d.currency, count(*) AS entries,
       sum(m.amount)::bigint AS amount_minor
FROM unnest(:types::text[]) AS asked (type)
CROSS JOIN LATERAL search_hits(ARRAY[:lead, 'type=' || asked.type], :scope, NULL, NULL, -1, :before, :before)
    AS hit (leaf_index)
JOIN entry e USING (leaf_index)
CROSS JOIN LATERAL json_to_record(search_document(e.leaf) -> 'data')
    AS d (currency text, amount_minor text, funded_minor text, budget_minor text)
CROSS JOIN LATERAL (SELECT coalesce(d.funded_minor, d.amount_minor, d.budget_minor) AS said) AS v
CROSS JOIN LATERAL (SELECT CASE WHEN v.said ~ '^[0-9]{1,18}$' THEN v.said::bigint END AS amount) AS m
GROUP BY e.type, d.currency ORDER BY e.type, d.currency;
