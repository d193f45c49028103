-- name: declare_match_marks!
INSERT INTO match_mark (stream, sequence) SELECT name, 0 FROM stream WHERE name LIKE 'registry.households/%'
ON CONFLICT DO NOTHING;

-- name: lock_match_marks
SELECT stream, sequence FROM match_mark ORDER BY stream FOR UPDATE SKIP LOCKED;

-- name: events_to_match
SELECT m.stream, e.sequence, e.key, e.ours
FROM unnest(:streams::text[], :sequences::bigint[]) AS m (stream, sequence)
CROSS JOIN LATERAL (
    SELECT sequence, key, type LIKE 'salur.household.%' OR type = 'salur.subject.erased.v1' AS ours FROM event
    WHERE stream = m.stream AND sequence > m.sequence
    ORDER BY sequence LIMIT :most
) e;

-- name: advance_match_marks!
UPDATE match_mark m SET sequence = g.sequence
FROM unnest(:streams::text[], :sequences::bigint[]) AS g (stream, sequence) WHERE m.stream = g.stream;

-- name: match_line^
SELECT indexed, compared, people FROM match_line;

-- name: move_match_line!
UPDATE match_line SET indexed = :indexed, compared = :compared, people = :people;

-- Only who is still a member: a family that was merged away keeps its sealed side for an undoing.
-- name: households_to_match
SELECT h.household_id, h.region, h.identity, p.account_token,
       ARRAY(SELECT m->>'member_id' FROM jsonb_array_elements(h.members) AS m) AS member_ids
FROM household h LEFT JOIN payee p USING (household_id)
WHERE h.household_id = ANY(:ids::text[]) AND h.identity IS NOT NULL;

-- name: niks_to_match
SELECT member_id, token, sealed FROM identifier
WHERE household_id = ANY(:ids::text[]) AND member_id IS NOT NULL AND scheme = 'nik';

-- name: forget_match_people
DELETE FROM match_person WHERE household_id = ANY(:households::text[]) OR person_id = ANY(:people::text[])
RETURNING number, keys, name_token;

-- name: forget_match_keys!
DELETE FROM match_key k USING unnest(:tokens::bigint[], :numbers::bigint[]) AS g (token, number)
WHERE k.token = g.token AND k.number = g.number;

-- name: count_match_names!
INSERT INTO match_name AS n (token, people)
SELECT token, sum(difference) FROM unnest(:tokens::bigint[], :differences::int[]) AS g (token, difference)
GROUP BY token ORDER BY token
ON CONFLICT (token) DO UPDATE SET people = n.people + excluded.people;

-- Blocks that these people are not the first in: those of them whose turn it is, and the first of the block, at most so
-- many: a block's size never decides what a look at it costs.
-- name: match_blocks
SELECT t.turn, b.first
FROM (
    SELECT token, array_agg(number) AS turn, max(number) AS last
    FROM (SELECT number, unnest(keys) AS token FROM match_person WHERE number > :after AND number <= :upto) AS mine
    GROUP BY token ORDER BY token
) AS t
CROSS JOIN LATERAL (
    SELECT array_agg(number) AS first
    FROM (
        SELECT k.number FROM match_key k WHERE k.token = t.token AND k.number < t.last ORDER BY k.number LIMIT :most
    ) AS k
) AS b
WHERE b.first IS NOT NULL;

-- name: match_people_numbered
SELECT number, person_id, household_id FROM match_person WHERE number = ANY(:numbers::bigint[]);

-- name: match_names
SELECT token, people FROM match_name WHERE token = ANY(:tokens::bigint[]);

-- name: insert_pairs!
INSERT INTO match_pair (pair_id, first_id, second_id, score, verdict, evidence)
SELECT pair_id, first_id, second_id, score, verdict, evidence::jsonb
FROM unnest(:pair_ids::text[], :firsts::text[], :seconds::text[], :scores::real[], :verdicts::text[],
            :evidence::text[]) AS g (pair_id, first_id, second_id, score, verdict, evidence)
ON CONFLICT DO NOTHING;

-- name: match_progress^
SELECT l.indexed - l.compared AS waiting, l.people,
       (SELECT count(*) FROM match_pair WHERE state = 'open') AS open_pairs,
       (SELECT sum(s.sequence - m.sequence) FROM match_mark m JOIN stream s ON s.name = m.stream)::bigint AS behind
FROM match_line l;

-- name: pairs_after
SELECT p.pair_id, p.first_id, p.second_id, p.score, p.verdict, p.evidence, p.state, p.found_at, p.decided_by, p.reason,
       a.household_id AS first_household_id, b.household_id AS second_household_id,
       x.region AS first_region, y.region AS second_region
FROM match_pair p
JOIN match_person a ON a.person_id = p.first_id JOIN match_person b ON b.person_id = p.second_id
JOIN household x ON x.household_id = a.household_id JOIN household y ON y.household_id = b.household_id
WHERE p.state = :state AND (p.score, p.pair_id) < (:score::real, :after)
  AND (:every::boolean OR (x.region LIKE ANY(:patterns::text[]) AND y.region LIKE ANY(:patterns::text[])))
ORDER BY p.score DESC, p.pair_id DESC LIMIT :most;

-- name: lock_pair^
SELECT p.pair_id, p.first_id, p.second_id, p.state, a.household_id AS first_household_id,
       b.household_id AS second_household_id, x.region AS first_region, y.region AS second_region
FROM match_pair p
LEFT JOIN match_person a ON a.person_id = p.first_id LEFT JOIN match_person b ON b.person_id = p.second_id
LEFT JOIN household x ON x.household_id = a.household_id LEFT JOIN household y ON y.household_id = b.household_id
WHERE p.pair_id = :pair_id FOR UPDATE OF p;

-- name: decide_pair!
UPDATE match_pair SET state = :state, decided_by = :actor, reason = :reason, decided_at = now()
WHERE pair_id = :pair_id AND state = 'open';

-- name: merge_pairs!
UPDATE match_pair p SET state = 'merged', decided_by = :actor, reason = :reason, decided_at = now()
FROM unnest(:firsts::text[], :seconds::text[]) AS g (first_id, second_id)
WHERE p.first_id = g.first_id AND p.second_id = g.second_id AND p.state = 'open';

-- name: reopen_pairs!
UPDATE match_pair p SET state = 'open', decided_by = NULL, reason = NULL, decided_at = NULL
FROM unnest(:firsts::text[], :seconds::text[]) AS g (first_id, second_id)
WHERE p.first_id = g.first_id AND p.second_id = g.second_id AND p.state = 'merged';

-- name: pairs_between
SELECT p.first_id, p.second_id, a.household_id AS first_household_id
FROM match_pair p
JOIN match_person a ON a.person_id = p.first_id JOIN match_person b ON b.person_id = p.second_id
WHERE p.state = 'open' AND p.score >= :least::real
  AND ((a.household_id = :one AND b.household_id = :other) OR (a.household_id = :other AND b.household_id = :one))
ORDER BY p.score DESC;

-- name: shared_accounts
SELECT p.account_token, count(*) AS families, array_agg(p.household_id ORDER BY p.household_id) AS household_ids
FROM payee p JOIN household h USING (household_id)
WHERE p.status <> 'closed' AND (:every::boolean OR h.region LIKE ANY(:patterns::text[]))
GROUP BY p.account_token HAVING count(*) > :families ORDER BY count(*) DESC, p.account_token LIMIT :most;
