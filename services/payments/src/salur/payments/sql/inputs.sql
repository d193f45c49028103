-- name: insert_payees
-- Returns the versions already known with other content: the writer broke its contract.
WITH given AS (
    SELECT * FROM unnest(:beneficiary_ids::text[], :versions::int[], :statuses::text[], :banks::text[],
                         :tokens::text[], :sealed::bytea[], :since::timestamptz[], :identities::text[], :living::text[],
                         :methods::text[])
        AS g (beneficiary_id, version, status, bank, account_token, sealed, since, identity_token, living, method)
), added AS (
    INSERT INTO payee (beneficiary_id, version, status, bank, account_token, sealed, since, identity_token, living, method)
    SELECT * FROM given ON CONFLICT DO NOTHING
)
SELECT p.beneficiary_id, p.version
FROM given g JOIN payee p ON p.beneficiary_id = g.beneficiary_id AND p.version = g.version
WHERE (p.status, p.bank, p.account_token, p.method) <> (g.status, g.bank, g.account_token, g.method);

-- name: insert_passed_cuts!
INSERT INTO passed_cut (cut_id, partition) SELECT * FROM unnest(:cut_ids::text[], :partitions::int[])
ON CONFLICT DO NOTHING;

-- name: insert_entitlements
WITH given AS (
    SELECT * FROM unnest(:entitlement_ids::text[], :programme_ids::text[], :cycle_ids::text[], :beneficiary_ids::text[],
                         :kinds::text[], :amounts::bigint[], :currencies::text[], :regions::text[],
                         :payee_ids::text[])
        AS g (entitlement_id, programme_id, cycle_id, beneficiary_id, kind, amount_minor, currency, region, payee_id)
), added AS (
    INSERT INTO entitlement (entitlement_id, programme_id, cycle_id, beneficiary_id, kind, amount_minor, currency, region,
                             payee_id)
    SELECT * FROM given ON CONFLICT DO NOTHING
)
SELECT e.entitlement_id
FROM given g JOIN entitlement e ON e.entitlement_id = g.entitlement_id
WHERE (e.cycle_id, e.beneficiary_id, e.payee_id, e.kind, e.amount_minor, e.currency)
   <> (g.cycle_id, g.beneficiary_id, g.payee_id, g.kind, g.amount_minor, g.currency);

-- name: insert_cycles
WITH given AS (
    SELECT DISTINCT ON (cycle_id) *
    FROM unnest(:cycle_ids::text[], :programme_ids::text[], :cut_ids::text[], :entitlements::int[], :amounts::bigint[],
                :currencies::text[])
        AS g (cycle_id, programme_id, cut_id, entitlements, amount_minor, currency)
), added AS (
    INSERT INTO cycle (cycle_id, programme_id, cut_id, entitlements, amount_minor, currency)
    SELECT * FROM given ON CONFLICT DO NOTHING
)
SELECT c.cycle_id
FROM given g JOIN cycle c ON c.cycle_id = g.cycle_id
WHERE (c.programme_id, c.cut_id, c.entitlements, c.amount_minor, c.currency)
   <> (g.programme_id, g.cut_id, g.entitlements, g.amount_minor, g.currency);

-- name: insert_granted_cycles!
INSERT INTO granted_cycle (cycle_id, partition) SELECT * FROM unnest(:cycle_ids::text[], :partitions::int[])
ON CONFLICT DO NOTHING;

-- name: cycle_standing^
SELECT c.cycle_id, c.programme_id, c.cut_id, c.entitlements, c.amount_minor, c.currency,
       (SELECT count(*) FROM granted_cycle g WHERE g.cycle_id = c.cycle_id) AS granted_partitions,
       (SELECT count(*) FROM passed_cut p WHERE p.cut_id = c.cut_id) AS passed_partitions,
       e.count AS known_entitlements, coalesce(e.amount_minor, 0)::bigint AS known_minor
FROM cycle c
CROSS JOIN LATERAL (
    SELECT count(*) AS count, sum(amount_minor) AS amount_minor FROM entitlement WHERE cycle_id = c.cycle_id
) e
WHERE c.cycle_id = :cycle_id;

-- name: candidates
-- Each with what a person decided last about it on a list of the cycle that was refused or expired since.
WITH decided AS MATERIALIZED (
    SELECT DISTINCT ON (i.entitlement_id) i.entitlement_id, d.act
    FROM payment_list l
    JOIN item_decision d ON d.list_id = l.list_id
    JOIN list_item i ON i.list_id = d.list_id AND i.payment_id = d.payment_id
    WHERE l.cycle_id = :cycle_id AND i.part = 1
    ORDER BY i.entitlement_id, d.decided_at DESC
)
SELECT e.entitlement_id, e.beneficiary_id, e.amount_minor, e.currency, e.region,
       p.version AS payee_version, p.status AS payee_status, p.bank, p.account_token, e.payee_id, p.method, d.act
FROM entitlement_due e
LEFT JOIN decided d ON d.entitlement_id = e.entitlement_id
LEFT JOIN LATERAL (
    SELECT version, status, bank, account_token, method FROM payee
    WHERE payee.beneficiary_id = e.payee_id ORDER BY version DESC LIMIT 1
) p ON true
WHERE e.cycle_id = :cycle_id AND e.entitlement_id > :after
ORDER BY e.entitlement_id LIMIT :most;
