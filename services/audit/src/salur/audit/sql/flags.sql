-- name: declare_rules!
INSERT INTO flag_rule (rule) SELECT unnest(:rules::text[]) ON CONFLICT DO NOTHING;

-- name: rules_behind
SELECT r.rule FROM flag_rule r, search_state s WHERE r.checked < s.indexed AND r.rule = ANY (:rules::text[]) ORDER BY r.rule;

-- name: rule_window^
-- What a rule has not read yet, at most so many entries.
SELECT r.checked AS first, least(s.indexed, r.checked + :most) AS finish
FROM flag_rule r, search_state s WHERE r.rule = :rule FOR UPDATE OF r;

-- name: rule_checked!
UPDATE flag_rule SET checked = :finish WHERE rule = :rule;

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
UPDATE flag SET state = :state, owner = :owner, outcome = :outcome WHERE flag_id = :flag_id;
