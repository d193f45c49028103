-- name: cut_passed^
SELECT count(*) AS partitions, max(households) AS households FROM cut_mark WHERE cut_id = :cut_id;

-- name: standing_at_cut^
-- `known`: families, whom the registry counts at a cut; `living`: those a programme for this kind must have decided.
-- LIMIT 1 has each decision looked up by its key: of a programme that is new to the planner a join expects one row, and
-- reads all of them again for every household. So everywhere a household's decision is asked for.
SELECT count(*) FILTER (WHERE h.kind = 'family') AS known,
       count(*) FILTER (WHERE h.merged_into IS NULL AND h.kind = :subject) AS living, count(d.enrolled) AS decided,
       coalesce(sum(d.people) FILTER (WHERE d.enrolled), 0)::bigint AS enrolled
FROM household h
JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
LEFT JOIN LATERAL (
    SELECT enrolled, greatest(cardinality(enrolled_members), 1) AS people FROM decision
    WHERE programme = :programme AND household_id = h.household_id AND household_version = h.version
      AND overturned_by IS NULL
    LIMIT 1
) d ON true;

-- name: is_decided$
SELECT decided FROM programme WHERE number = :programme;

-- name: lock_programme!
-- Of two openings at once the second waits, and its next statement sees the first.
SELECT 1 FROM programme WHERE number = :programme FOR NO KEY UPDATE;

-- name: cycle_on_cut$
SELECT name FROM cycle WHERE programme_id = :programme_id AND cut_id = :cut_id LIMIT 1;

-- name: cycle_in_period^
SELECT name, starts_on, ends_on FROM cycle
WHERE programme_id = :programme_id AND starts_on < :ends_on AND ends_on > :starts_on ORDER BY ends_on DESC LIMIT 1;

-- name: covered_until$
SELECT max(ends_on) FROM cycle WHERE programme_id = :programme_id;

-- name: insert_cycle^
INSERT INTO cycle (cycle_id, programme_id, programme, name, cut_id, currency, state, decided, enrolled, selected, chooses, regions,
    opened_by, cause, starts_on, ends_on, early_reason)
VALUES (:cycle_id, :programme_id, :programme, :name, :cut_id, :currency, :state, :decided, :enrolled, :enrolled,
    :state = 'selecting', coalesce(:regions::text[], '{}'), :actor, :cause, :starts_on, :ends_on, :early_reason)
ON CONFLICT DO NOTHING RETURNING cycle_id;

-- name: lock_cycle_at_work^
SELECT cycle_id, programme_id, programme, cut_id, currency, state, chooses, regions, decided, enrolled, selected,
       entitlements, not_due, amount_minor, cause, opened_at, opened_by, name
FROM cycle WHERE state NOT IN ('held', 'granted') ORDER BY opened_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: grant_page
-- The next household versions in order of id; `decision_id` is NULL where nothing is to be granted: not what stood at
-- the cut, not enrolled, or granted already. Page first, look up each: no plan can make it read all for every page
-- (OFFSET 0 keeps the anti join away, which reads the cycle's entitlements again for every household).
WITH page AS MATERIALIZED (
    SELECT household_id, version, partition, sequence, replaced_by, region FROM household
    WHERE (household_id, version) > (:after_id::text, :after_version::int)
    ORDER BY household_id, version LIMIT :most
)
SELECT p.household_id, p.version, p.region, d.decision_id, d.amount_minor, d.components, d.not_due,
       d.enrolled_members,
       CASE WHEN :chooses THEN coalesce((
           SELECT array_agg(s.beneficiary_id) FROM place s
           WHERE s.cycle_id = :cycle_id AND s.household_id = p.household_id AND s.outcome = 'selected'), '{}')
       END AS selected
FROM page p
LEFT JOIN LATERAL (
    SELECT d.decision_id, d.amount_minor, d.components, d.not_due, d.enrolled_members
    FROM decision d JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = p.partition
        AND p.sequence < c.sequence AND (p.replaced_by IS NULL OR p.replaced_by > c.sequence)
    WHERE d.programme = :programme AND d.household_id = p.household_id AND d.household_version = p.version AND d.enrolled
      AND d.overturned_by IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM entitlement e
          WHERE e.cycle_id = :cycle_id AND e.kind = :kind
            AND e.beneficiary_id = coalesce(d.enrolled_members[1], p.household_id)
          OFFSET 0)
      AND (:regions::text[] = '{}' OR EXISTS (
           SELECT 1 FROM unnest(:regions::text[]) AS r WHERE p.region = r OR p.region LIKE r || '.%'))
    LIMIT 1
) d ON true
ORDER BY p.household_id, p.version;

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
SELECT y.cycle_id, y.programme_id, p.version AS programme_version, y.name, y.cut_id, y.state, y.decided, y.enrolled, y.selected,
       y.entitlements, y.not_due, y.amount_minor, y.currency, y.opened_by, y.opened_at,
       y.regions, y.alarms, y.starts_on, y.ends_on, y.early_reason
FROM cycle y JOIN programme p ON p.number = y.programme WHERE y.cycle_id = :cycle_id;
