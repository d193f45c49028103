-- name: cut_passed^
SELECT count(*) AS partitions, max(households) AS households FROM cut_mark WHERE cut_id = :cut_id;

-- name: standing_at_cut^
SELECT count(*) AS known, count(d.household_id) AS decided, count(*) FILTER (WHERE d.enrolled) AS enrolled
FROM household h
JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
LEFT JOIN decision d ON d.programme = :programme AND d.household_id = h.household_id AND d.household_version = h.version;

-- name: is_decided$
SELECT decided FROM programme WHERE number = :programme;

-- name: insert_cycle^
INSERT INTO cycle (cycle_id, programme_id, programme, name, cut_id, currency, state, decided, enrolled, opened_by, cause)
VALUES (:cycle_id, :programme_id, :programme, :name, :cut_id, :currency, 'granting', :decided, :enrolled, :actor, :cause)
ON CONFLICT DO NOTHING RETURNING cycle_id;

-- name: lock_granting_cycle^
SELECT cycle_id, programme_id, programme, cut_id, currency, enrolled, entitlements, not_due, amount_minor, cause
FROM cycle WHERE state = 'granting' ORDER BY opened_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: ungranted
SELECT h.household_id, h.region, d.decision_id, d.amount_minor, d.components, d.not_due
FROM household h
JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
JOIN decision d ON d.programme = :programme AND d.household_id = h.household_id AND d.household_version = h.version
    AND d.enrolled
WHERE h.household_id > :after AND NOT EXISTS (
    SELECT 1 FROM entitlement e
    WHERE e.cycle_id = :cycle_id AND e.beneficiary_id = h.household_id AND e.kind = :kind)
ORDER BY h.household_id LIMIT :most;

-- name: add_to_cycle!
UPDATE cycle SET entitlements = entitlements + :entitlements, not_due = not_due + :not_due,
    amount_minor = amount_minor + :amount_minor
WHERE cycle_id = :cycle_id;

-- name: granted_totals^
SELECT count(entitlement_id) AS entitlements, count(*) - count(entitlement_id) AS not_due,
       coalesce(sum(amount_minor), 0)::bigint AS amount_minor
FROM entitlement WHERE cycle_id = :cycle_id;

-- name: close_granting!
UPDATE cycle SET state = 'granted' WHERE cycle_id = :cycle_id;

-- name: cycle^
SELECT y.cycle_id, y.programme_id, p.version AS programme_version, y.name, y.cut_id, y.state, y.decided, y.enrolled,
       y.entitlements, y.not_due, y.amount_minor, y.currency, y.opened_by, y.opened_at
FROM cycle y JOIN programme p ON p.number = y.programme WHERE y.cycle_id = :cycle_id;
