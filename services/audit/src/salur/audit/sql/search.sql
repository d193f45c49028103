-- name: search_index$
SELECT search_index(:most, :partition_entries);

-- name: search_lag^
-- Entries not indexed yet, and how long the oldest of them has waited by its event time.
SELECT l.size - s.indexed AS entries, s.indexed,
       coalesce((SELECT extract(epoch FROM now() - e.event_time::timestamptz) FROM entry e
                 WHERE e.leaf_index = s.indexed AND pg_input_is_valid(e.event_time, 'timestamptz')), 0)::float8 AS age_s
FROM log_state l, search_state s;

-- name: search_by_term
-- Entries with the term `lead` (the rarest asked for) and every other of `terms`, from one of the regions of `scope` when
-- it is given, within the time asked for.
WITH bounds AS (
    SELECT coalesce(min(first), 0) AS first, coalesce(max(finish), 0) AS finish
    FROM search_run
    WHERE (:since::timestamptz IS NULL OR latest >= :since) AND (:until::timestamptz IS NULL OR earliest < :until)
), hit AS (
    SELECT s.leaf_index
    FROM search_term l JOIN search_entry s ON s.leaf_index = l.leaf_index, bounds b
    WHERE l.term = :lead AND l.leaf_index > :after AND l.leaf_index >= b.first AND l.leaf_index < b.finish
      AND (:since::timestamptz IS NULL OR s.event_time >= :since)
      AND (:until::timestamptz IS NULL OR s.event_time < :until)
      AND NOT EXISTS (
          SELECT 1 FROM unnest(:terms::text[]) AS asked (term)
          WHERE NOT EXISTS (
              SELECT 1 FROM search_term t WHERE t.term = asked.term COLLATE "C" AND t.leaf_index = s.leaf_index))
      AND (:scope::text[] IS NULL OR EXISTS (
          SELECT 1 FROM search_term t WHERE t.term = ANY (:scope) AND t.leaf_index = s.leaf_index))
    ORDER BY l.leaf_index LIMIT :most
)
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM hit JOIN entry e USING (leaf_index) ORDER BY e.leaf_index;

-- name: search_by_time
-- As `search_by_term`, of every entry within the time asked for.
WITH bounds AS (
    SELECT coalesce(min(first), 0) AS first, coalesce(max(finish), 0) AS finish
    FROM search_run
    WHERE (:since::timestamptz IS NULL OR latest >= :since) AND (:until::timestamptz IS NULL OR earliest < :until)
), hit AS (
    SELECT s.leaf_index
    FROM search_entry s, bounds b
    WHERE s.leaf_index > :after AND s.leaf_index >= b.first AND s.leaf_index < b.finish
      AND (:since::timestamptz IS NULL OR s.event_time >= :since)
      AND (:until::timestamptz IS NULL OR s.event_time < :until)
      AND (:scope::text[] IS NULL OR EXISTS (
          SELECT 1 FROM search_term t WHERE t.term = ANY (:scope) AND t.leaf_index = s.leaf_index))
    ORDER BY s.leaf_index LIMIT :most
)
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM hit JOIN entry e USING (leaf_index) ORDER BY e.leaf_index;

-- name: term_counts
-- How many entries have each term, counted up to a limit: the rarest leads the search.
SELECT asked.term,
       (SELECT count(*) FROM (SELECT 1 FROM search_term t WHERE t.term = asked.term COLLATE "C" LIMIT :most) AS counted) AS entries
FROM unnest(:terms::text[]) AS asked (term);

-- name: cause_chain
-- An event, what led to it and what it led to, step by step up to a limit of entries; the nearest first.
WITH RECURSIVE up AS (
    SELECT t.leaf_index, 0 AS step FROM search_term t WHERE t.term = :start
    UNION
    SELECT t.leaf_index, up.step - 1
    FROM up
    JOIN search_term c ON c.leaf_index = up.leaf_index AND c.term >= 'cause=' AND c.term < 'cause>'
    JOIN search_term t ON t.term = 'event=' || substr(c.term, 7)
    WHERE up.step > -(:steps::integer)
), down AS (
    SELECT leaf_index, step FROM up WHERE step = 0
    UNION
    SELECT t.leaf_index, down.step + 1
    FROM down
    JOIN search_term v ON v.leaf_index = down.leaf_index AND v.term >= 'event=' AND v.term < 'event>'
    CROSS JOIN LATERAL (
        SELECT leaf_index FROM search_term WHERE term = 'cause=' || substr(v.term, 7) ORDER BY leaf_index LIMIT :most
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
    SELECT 1 FROM search_term t WHERE t.term = ANY (:scope) AND t.leaf_index = l.leaf_index)
ORDER BY e.leaf_index;

-- name: save_question!
INSERT INTO saved_query (owner, name, question) VALUES (:owner, :name, :question)
ON CONFLICT (owner, name) DO UPDATE SET question = excluded.question, saved_at = now();

-- name: saved_questions
SELECT name, question, saved_at FROM saved_query WHERE owner = :owner ORDER BY name LIMIT :most;

-- name: entries_named
SELECT e.leaf_index, e.leaf, e.topic, e.partition, e.kafka_offset, e.stream, e.sequence, e.event_id, e.type, e.subject,
       e.event_time
FROM search_term t JOIN entry e USING (leaf_index)
WHERE t.term = ANY (:terms::text[]) AND e.stream IS NULL ORDER BY e.leaf_index;

-- name: personal_reads
-- Whose personal values somebody read in a time, counted by subject, kind and reason.
WITH bounds AS (
    SELECT coalesce(min(first), 0) AS first, coalesce(max(finish), 0) AS finish
    FROM search_run WHERE latest >= :since AND earliest < :until
), hit AS (
    SELECT s.leaf_index, s.event_time
    FROM search_term a
    JOIN search_term t ON t.leaf_index = a.leaf_index AND t.term = :type
    JOIN search_entry s ON s.leaf_index = a.leaf_index, bounds b
    WHERE a.term = :actor AND a.leaf_index >= b.first AND a.leaf_index < b.finish
      AND s.event_time >= :since AND s.event_time < :until
)
SELECT e.topic, d.subject, d.kind, d.reason, count(*) AS reads, min(h.event_time) AS first_at, max(h.event_time) AS last_at
FROM hit h JOIN entry e USING (leaf_index)
CROSS JOIN LATERAL json_to_record(search_document(e.leaf) -> 'data') AS d (subject text, kind text, reason text)
GROUP BY e.topic, d.subject, d.kind, d.reason
ORDER BY d.subject, d.kind, e.topic, d.reason LIMIT :most;

-- name: money
-- Per type of event that moves or promises money: how many entries and how much, by currency.
WITH hit AS (
    SELECT l.leaf_index FROM search_term l
    WHERE l.term = :lead
      AND (:scope::text[] IS NULL OR EXISTS (
          SELECT 1 FROM search_term t WHERE t.term = ANY (:scope) AND t.leaf_index = l.leaf_index))
)
SELECT e.type, d.currency, count(*) AS entries,
       sum(m.amount)::bigint AS amount_minor
FROM hit h JOIN entry e USING (leaf_index)
CROSS JOIN LATERAL json_to_record(search_document(e.leaf) -> 'data')
    AS d (currency text, amount_minor text, funded_minor text, budget_minor text)
CROSS JOIN LATERAL (SELECT coalesce(d.funded_minor, d.amount_minor, d.budget_minor) AS said) AS v
CROSS JOIN LATERAL (SELECT CASE WHEN v.said ~ '^[0-9]{1,18}$' THEN v.said::bigint END AS amount) AS m
WHERE e.type = ANY (:types::text[])
GROUP BY e.type, d.currency ORDER BY e.type, d.currency;
