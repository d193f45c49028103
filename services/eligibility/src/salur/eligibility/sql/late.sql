-- name: keep_late_changes!
INSERT INTO late_change (household_id, partition, sequence, reason, member_id, other_id, died_on, request, cause)
SELECT * FROM unnest(:households::text[], :partitions::int[], :sequences::bigint[], :reasons::text[], :members::text[],
                     :others::text[], :died_on::text[], :requests::text[], :causes::text[])
ON CONFLICT DO NOTHING;

-- name: lock_amending!
SELECT pg_advisory_xact_lock(hashtextextended('salur.eligibility.amending', 0));

-- name: late_changes_due
-- The oldest not looked at. One that names a family still on its way here waits for it.
SELECT number, household_id FROM late_change l
WHERE NOT done AND (other_id IS NULL OR EXISTS (SELECT 1 FROM household h WHERE h.household_id = l.other_id))
ORDER BY number LIMIT :most FOR UPDATE;

-- name: end_late_changes!
UPDATE late_change SET done = true WHERE number = ANY(:numbers::bigint[]);

-- name: ask_late_changes_again!
-- A cycle is granted: what came behind its cut meanwhile is looked at again.
UPDATE late_change l SET done = false FROM cut_mark c
WHERE c.cut_id = :cut_id AND c.partition = l.partition AND l.sequence > c.sequence AND l.done;

-- name: families_touched
-- Those families and all they are tied to: merged, split, or touched by the same request (an import ties nobody).
WITH RECURSIVE family (id) AS (
    SELECT unnest(:ids::text[]) COLLATE "C"
    UNION
    SELECT near.id FROM family f CROSS JOIN LATERAL (
        SELECT l.other_id AS id FROM late_change l WHERE l.household_id = f.id AND l.other_id IS NOT NULL
        UNION ALL
        SELECT l.household_id FROM late_change l WHERE l.other_id = f.id
        UNION ALL
        SELECT o.household_id FROM late_change l JOIN late_change o USING (request)
        WHERE l.household_id = f.id
          AND (SELECT count(*) FROM (SELECT 1 FROM late_change x WHERE x.request = l.request LIMIT 9) n) <= 8
    ) near
)
SELECT l.household_id, l.reason, l.member_id, l.other_id, l.died_on, l.request, l.cause,
       (SELECT count(*) FROM (SELECT 1 FROM late_change x WHERE x.request = l.request LIMIT 9) n) <= 8 AS small
FROM late_change l WHERE l.household_id IN (SELECT id FROM family) ORDER BY l.number;

-- name: changeable_cycles
SELECT y.cycle_id, y.programme_id, y.programme, p.version AS programme_version, y.name, y.cut_id, y.currency, y.opened_at
FROM cycle y JOIN programme p ON p.number = y.programme
WHERE y.state = 'granted' AND y.appeal_id IS NULL AND y.supplements IS NULL
  AND y.opened_at > now() - make_interval(days => :days)
ORDER BY y.opened_at;

-- name: standing_of
-- Those families as they stood at the cut of each cycle, with the decision that held there.
SELECT y.cycle_id, h.household_id, h.version, h.region, h.attributes, h.members, d.decision_id, d.corrections
FROM cycle y
JOIN cut_mark c ON c.cut_id = y.cut_id
JOIN household h ON h.household_id = ANY(:ids::text[]) AND h.partition = c.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
LEFT JOIN decision d ON d.programme = y.programme AND d.household_id = h.household_id
    AND d.household_version = h.version AND d.overturned_by IS NULL
WHERE y.cycle_id = ANY(:cycles::text[])
ORDER BY y.cycle_id, h.household_id;

-- name: snapshots_of
SELECT household_id, version, region, attributes, members, merged_into FROM household
WHERE household_id = ANY(:ids::text[]) AND replaced_by IS NULL;

-- name: owed_to
-- What those beneficiaries were granted by the cycles or by supplements to them, and what it is worth now.
SELECT e.entitlement_id, e.cycle_id, coalesce(y.supplements, y.cycle_id) AS origin, e.beneficiary_id, e.kind,
       e.decision_id, e.amount_minor AS granted_minor, coalesce(a.amount_minor, e.amount_minor) AS due_minor,
       coalesce(a.number, 0) AS changes, a.payee_id, y.currency
FROM cycle y
JOIN entitlement e ON e.cycle_id = y.cycle_id AND e.beneficiary_id = ANY(:beneficiaries::text[])
    AND e.entitlement_id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT m.amount_minor, m.number, m.payee_id FROM amendment m WHERE m.entitlement_id = e.entitlement_id
    ORDER BY m.number DESC LIMIT 1) a ON true
WHERE y.cycle_id = ANY(:cycles::text[]) OR y.supplements = ANY(:cycles::text[])
ORDER BY e.entitlement_id;

-- name: insert_amendments!
INSERT INTO amendment (entitlement_id, number, amount_minor, payee_id, reason, cause, retroactive)
SELECT * FROM unnest(:entitlements::text[], :numbers::int[], :amounts::bigint[], :payees::text[], :reasons::text[],
                     :causes::text[], :retroactive::bool[]);

-- name: insert_cycle_apart!
-- A cycle that carries back-pay or a supplement, so that it is listed and approved like any other: granted at once.
INSERT INTO cycle (cycle_id, programme_id, programme, name, cut_id, currency, state, decided, enrolled, selected,
                   entitlements, amount_minor, appeal_id, supplements, opened_by, cause)
VALUES (:cycle_id, :programme_id, :programme, :name, :cut_id, :currency, 'granted', :entitlements, :entitlements,
        :entitlements, :entitlements, :amount_minor, :appeal_id, :supplements, :actor, :cause);

-- name: cycle_at_work$
SELECT EXISTS (SELECT 1 FROM cycle WHERE programme = :programme AND state <> 'granted');
