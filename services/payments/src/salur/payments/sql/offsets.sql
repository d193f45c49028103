-- name: lock_offset_claims
-- Claims that may be taken from payments of this cycle by these funds, locked: no two lists plan the same money.
SELECT c.case_id FROM claim c JOIN money_case m USING (case_id)
WHERE c.open_minor > 0 AND c.offset_from <= now() AND c.fund_id = ANY (:fund_ids::text[])
  AND EXISTS (SELECT 1 FROM entitlement e WHERE e.cycle_id = :cycle_id AND e.beneficiary_id = m.beneficiary_id)
ORDER BY c.case_id FOR UPDATE OF c;

-- name: offsets_due
-- What is left of claims, less what payments under way are to bear already. The oldest first.
SELECT m.beneficiary_id, c.case_id, c.fund_id, c.currency, c.offset_percent AS percent,
       (c.open_minor - p.minor)::bigint AS left_minor
FROM claim c JOIN money_case m USING (case_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(o.amount_minor), 0) AS minor
    FROM list_offset o JOIN list_item i USING (list_id, payment_id) JOIN payment_list l USING (list_id)
    WHERE o.case_id = c.case_id AND o.state = 'planned' AND i.hold IS NULL AND l.state NOT IN ('refused', 'expired')
      AND NOT EXISTS (SELECT 1 FROM payment x WHERE x.list_id = o.list_id AND x.payment_id = o.payment_id
                      AND x.state IN ('rejected', 'returned', 'cancelled', 'treasury'))
) p
WHERE c.case_id = ANY (:case_ids::text[]) AND c.open_minor > p.minor
ORDER BY m.beneficiary_id, c.opened_at, c.case_id;

-- name: insert_offsets!
INSERT INTO list_offset (list_id, payment_id, case_id, amount_minor)
SELECT :list_id, g.* FROM unnest(:payment_ids::text[], :case_ids::text[], :amounts::bigint[]) AS g;

-- name: offsets_of
-- What these instructions took or were to take of claims, with the claims, all locked.
SELECT o.list_id, o.payment_id AS cut_payment_id, o.amount_minor AS planned_minor, o.taken_minor, c.case_id, c.payment_id,
       c.fund_id, c.currency, c.open_minor, c.reductions, p.instruction_id, p.entitlement_id, p.beneficiary_id, p.region
FROM payment p
JOIN list_offset o ON o.list_id = p.list_id AND o.payment_id = p.payment_id
JOIN claim c ON c.case_id = o.case_id
WHERE p.instruction_id = ANY (:instruction_ids::text[]) AND o.state = :state
ORDER BY c.case_id, p.instruction_id FOR UPDATE OF c, o;

-- name: end_offsets!
UPDATE list_offset o SET state = :state, taken_minor = g.taken_minor
FROM unnest(:list_ids::text[], :payment_ids::text[], :case_ids::text[], :taken::bigint[])
    AS g (list_id, payment_id, case_id, taken_minor)
WHERE o.list_id = g.list_id AND o.payment_id = g.payment_id AND o.case_id = g.case_id;

-- name: set_open_claims!
UPDATE claim c SET open_minor = g.open_minor, reductions = g.reductions
FROM unnest(:case_ids::text[], :open_minor::bigint[], :reductions::int[]) AS g (case_id, open_minor, reductions)
WHERE c.case_id = g.case_id;

-- name: offsets_of_payment
-- What a payment is less than what is due, for which case.
SELECT o.list_id, o.case_id, o.amount_minor, o.state, o.taken_minor FROM list_offset o
WHERE o.payment_id = :payment_id ORDER BY o.list_id, o.case_id;
