-- name: declare_rules!
INSERT INTO flag_rule (rule) SELECT unnest(:rules::text[]) ON CONFLICT DO NOTHING;

-- name: are_rules_behind$
SELECT EXISTS (SELECT 1 FROM flag_rule r, search_state s WHERE r.checked < s.indexed AND r.rule = ANY (:rules::text[]));

-- name: rule_windows
-- How far each rule has read, and how far search has come.
SELECT r.rule, r.checked, s.indexed FROM flag_rule r, search_state s
WHERE r.rule = ANY (:rules::text[]) ORDER BY r.rule FOR UPDATE OF r;

-- name: rules_checked!
UPDATE flag_rule SET checked = :finish WHERE rule = ANY (:rules::text[]);

-- name: keep_before!
INSERT INTO flag_before (rule, term, leaf_index)
SELECT :rule, * FROM unnest(:terms::text[], :leaves::bigint[]) ON CONFLICT DO NOTHING;

-- name: is_before_kept$
SELECT EXISTS (SELECT 1 FROM flag_before WHERE rule = :rule);

-- name: before_of
SELECT b.term, b.leaf_index
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL (
    SELECT term, leaf_index FROM flag_before
    WHERE rule = :rule AND term = asked.term COLLATE "C" ORDER BY leaf_index DESC LIMIT :most
) b;

-- name: flags_known
SELECT flag_id FROM flag WHERE flag_id = ANY (:ids::text[]);

-- name: crowded
-- Terms that more than so many entries have, of whatever type.
SELECT asked.term
FROM unnest(:terms::text[]) AS asked (term)
CROSS JOIN LATERAL (
    SELECT sum(cardinality(places)) AS entries FROM search_posting WHERE term = asked.term COLLATE "C" OFFSET 0
) counted
WHERE counted.entries > :more_than;

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
UPDATE flag SET state = :state, owner = :owner, outcome = :outcome, changed_at = now() WHERE flag_id = :flag_id;
