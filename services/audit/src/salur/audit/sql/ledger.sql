-- name: movements_known
SELECT DISTINCT m.id FROM unnest(:ids::text[]) AS asked (id)
CROSS JOIN LATERAL (SELECT id FROM money_movement WHERE id = asked.id COLLATE "C" LIMIT 1) m;

-- name: save_movements!
INSERT INTO money_movement (leaf_index, id, debit, credit, amount_minor, currency)
SELECT * FROM unnest(:leaves::bigint[], :ids::text[], :debits::text[], :credits::text[], :amounts::bigint[],
                     :currencies::text[]);

-- name: recomputed_accounts
SELECT side.account, side.currency, sum(side.amount)::bigint AS posted_minor, count(*) AS movements
FROM money_movement m
CROSS JOIN LATERAL (VALUES (m.debit, m.currency, -m.amount_minor), (m.credit, m.currency, m.amount_minor))
    AS side (account, currency, amount)
GROUP BY side.account, side.currency ORDER BY side.account COLLATE "C";

-- name: recomputed_hash$
SELECT encode(sha256(coalesce(string_agg(
    sha256(convert_to(concat_ws('|', id, debit, credit, amount_minor, currency), 'UTF8')), ''::bytea ORDER BY id, leaf_index
), '')), 'hex')
FROM money_movement;

-- name: movements_of
-- What moved an account, each with the entry that announced it.
(SELECT id, leaf_index, debit, credit, amount_minor, currency FROM money_movement
 WHERE debit = :account AND (leaf_index, id) > (:after::bigint, :after_id::text) ORDER BY leaf_index, id LIMIT :most)
UNION ALL
(SELECT id, leaf_index, debit, credit, amount_minor, currency FROM money_movement
 WHERE credit = :account AND (leaf_index, id) > (:after::bigint, :after_id::text) ORDER BY leaf_index, id LIMIT :most)
ORDER BY leaf_index, id LIMIT :most;
