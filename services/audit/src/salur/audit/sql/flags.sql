-- name: declare_rules!
INSERT INTO flag_rule (rule) SELECT unnest(:rules::text[]) ON CONFLICT DO NOTHING;

-- name: rule_window^
-- What a rule has not read yet, at most so many entries.
SELECT r.checked AS first, least(s.indexed, r.checked + :most) AS finish
FROM flag_rule r, search_state s WHERE r.rule = :rule FOR UPDATE OF r;

-- name: rule_checked!
UPDATE flag_rule SET checked = :finish WHERE rule = :rule;

-- name: find_many
-- Values of one dimension that too many different values of another share; only those a new entry names.
WITH named AS (
    SELECT DISTINCT s.term
    FROM search_term t
    JOIN search_term s ON s.leaf_index = t.leaf_index
    WHERE t.term = :type AND t.leaf_index >= :first AND t.leaf_index < :finish
      AND s.term >= :same::text || '=' AND s.term < :same::text || '>'
)
SELECT n.term AS subject, array_agg(g.leaf_index ORDER BY g.leaf_index) AS evidence
FROM named n
CROSS JOIN LATERAL (
    SELECT o.term, min(o.leaf_index) AS leaf_index
    FROM search_term s
    JOIN search_term t ON t.leaf_index = s.leaf_index AND t.term = :type
    JOIN search_term o ON o.leaf_index = s.leaf_index AND o.term >= :of::text || '=' AND o.term < :of::text || '>'
    WHERE s.term = n.term
    GROUP BY o.term ORDER BY leaf_index LIMIT 100
) g
GROUP BY n.term HAVING count(*) > :more_than ORDER BY n.term;

-- name: find_within
-- Pairs of entries with one value in common, the later less than so many seconds after the earlier.
SELECT s.term AS subject, ARRAY[max(b.leaf_index), a.leaf_index] AS evidence
FROM search_term x
JOIN search_entry a ON a.leaf_index = x.leaf_index
JOIN search_term s ON s.leaf_index = x.leaf_index AND s.term >= :same::text || '=' AND s.term < :same::text || '>'
JOIN search_term o ON o.term = s.term
JOIN search_term y ON y.leaf_index = o.leaf_index AND y.term = :before
JOIN search_entry b ON b.leaf_index = y.leaf_index
JOIN entry e ON e.leaf_index = b.leaf_index
WHERE x.term = :after AND x.leaf_index >= :first AND x.leaf_index < :finish
  AND a.event_time >= b.event_time AND a.event_time < b.event_time + make_interval(secs => :less_than_s)
  AND (:before_version::integer <= 1
       OR lpad(search_document(e.leaf) -> 'data' ->> 'version', 12, '0') >= lpad((:before_version::integer)::text, 12, '0'))
GROUP BY s.term, a.leaf_index ORDER BY a.leaf_index;

-- name: find_alike
-- Entries in which two fields name one person; a field is looked for in the data, then in the envelope.
SELECT 'event=' || e.event_id AS subject, ARRAY[e.leaf_index] AS evidence
FROM search_term t JOIN entry e USING (leaf_index)
CROSS JOIN LATERAL (SELECT search_document(e.leaf) AS doc) d
WHERE t.term = :type AND t.leaf_index >= :first AND t.leaf_index < :finish
  AND coalesce(d.doc -> 'data' ->> :left::text, d.doc ->> :left::text) = coalesce(d.doc -> 'data' ->> :right::text, d.doc ->> :right::text)
ORDER BY e.leaf_index;

-- name: raise_flags
INSERT INTO flag (flag_id, rule, severity, subject, evidence)
SELECT id, :rule, :severity, subject, evidence::bigint[]
FROM unnest(:ids::text[], :subjects::text[], :evidence::text[]) AS f (id, subject, evidence)
ON CONFLICT DO NOTHING RETURNING flag_id, subject, evidence;

-- name: flags_page
SELECT * FROM flag
WHERE flag_id > :after AND (:state::text IS NULL OR state = :state) AND (:rule::text IS NULL OR rule = :rule)
ORDER BY flag_id LIMIT :most;

-- name: flag_for_update^
SELECT * FROM flag WHERE flag_id = :flag_id FOR UPDATE;

-- name: move_flag!
UPDATE flag SET state = :state, owner = :owner, outcome = :outcome WHERE flag_id = :flag_id;
