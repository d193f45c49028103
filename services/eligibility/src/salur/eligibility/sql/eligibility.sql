-- name: save_programme!
INSERT INTO programme (programme_id, version, rules, name, published_by)
VALUES (:programme_id, :version, :rules, :name::jsonb, :actor)
ON CONFLICT (programme_id) DO UPDATE SET version = excluded.version, rules = excluded.rules, name = excluded.name,
    published_by = excluded.published_by, published_at = now();

-- name: keep_version!
INSERT INTO programme_version (programme_id, version, rules, published_by)
VALUES (:programme_id, :version, :rules, :actor) ON CONFLICT DO NOTHING;

-- name: programmes
SELECT programme_id, version, rules, name, published_at FROM programme ORDER BY programme_id;

-- name: programme^
SELECT programme_id, version, rules, name, published_at FROM programme WHERE programme_id = :programme_id;

-- name: save_households!
INSERT INTO household (household_id, version, region, attributes, members, stream, sequence)
SELECT id, version, region, attributes::jsonb, members::jsonb, stream, sequence
FROM unnest(:ids::text[], :versions::int[], :regions::text[], :attributes::text[], :members::text[],
            :streams::text[], :sequences::bigint[]) AS g (id, version, region, attributes, members, stream, sequence)
ON CONFLICT (household_id) DO UPDATE SET version = excluded.version, region = excluded.region,
    attributes = excluded.attributes, members = excluded.members;

-- name: save_cut_marks!
INSERT INTO cut_mark (cut_id, stream, sequence, households)
SELECT * FROM unnest(:cut_ids::text[], :streams::text[], :sequences::bigint[], :households::bigint[])
ON CONFLICT DO NOTHING;

-- name: undecided
SELECT h.household_id, h.version, h.region, h.attributes, h.members
FROM household h
WHERE NOT EXISTS (
    SELECT 1 FROM decision d WHERE d.programme_id = :programme_id AND d.household_id = h.household_id
      AND d.programme_version = :version AND d.household_version = h.version)
ORDER BY h.household_id LIMIT :most FOR UPDATE OF h SKIP LOCKED;

-- name: save_decisions!
INSERT INTO decision (programme_id, household_id, decision_id, programme_version, household_version, outcome, unmet,
                      criteria, benefit, amount_minor, input_hash)
SELECT programme_id, household_id, decision_id, programme_version, household_version, outcome,
       coalesce(string_to_array(nullif(unmet, ''), ','), '{}'), criteria::jsonb, benefit::jsonb, amount_minor, input_hash
FROM unnest(:programmes::text[], :households::text[], :ids::text[], :programme_versions::text[],
            :household_versions::int[], :outcomes::text[], :unmet::text[], :criteria::text[], :benefits::text[],
            :amounts::bigint[], :hashes::text[])
    AS g (programme_id, household_id, decision_id, programme_version, household_version, outcome, unmet, criteria,
          benefit, amount_minor, input_hash)
ON CONFLICT (programme_id, household_id) DO UPDATE SET decision_id = excluded.decision_id,
    programme_version = excluded.programme_version, household_version = excluded.household_version,
    outcome = excluded.outcome, unmet = excluded.unmet, criteria = excluded.criteria, benefit = excluded.benefit,
    amount_minor = excluded.amount_minor, input_hash = excluded.input_hash;

-- name: progress^
SELECT (SELECT count(*) FROM household) AS known,
       count(*) FILTER (WHERE d.programme_version = p.version AND d.household_version = h.version) AS decided,
       count(*) FILTER (WHERE d.outcome = 'enrolled' AND d.programme_version = p.version) AS enrolled
FROM programme p LEFT JOIN decision d ON d.programme_id = p.programme_id
LEFT JOIN household h ON h.household_id = d.household_id
WHERE p.programme_id = :programme_id;

-- name: criteria_met
SELECT c.value ->> 'code' AS code, count(*) AS met FROM decision d CROSS JOIN LATERAL jsonb_array_elements(d.criteria) c
WHERE d.programme_id = :programme_id AND c.value ->> 'outcome' = 'met' GROUP BY 1 ORDER BY 1;

-- name: decisions_after
SELECT household_id, outcome, unmet, criteria, amount_minor FROM decision
WHERE programme_id = :programme_id AND household_id > :after ORDER BY household_id LIMIT :most;

-- name: decision^
SELECT d.household_id, d.decision_id, d.programme_version, d.household_version, d.outcome, d.unmet, d.criteria,
       d.benefit, d.amount_minor, d.input_hash, h.region
FROM decision d JOIN household h USING (household_id)
WHERE d.programme_id = :programme_id AND d.household_id = :household_id;

-- name: cut_passed^
SELECT count(*) AS partitions, max(households) AS households FROM cut_mark WHERE cut_id = :cut_id;

-- name: before_cut^
SELECT count(*) AS known,
       count(d.household_id) FILTER (WHERE d.programme_version = :version AND d.household_version = h.version) AS decided,
       count(*) FILTER (WHERE d.outcome = 'enrolled' AND d.programme_version = :version) AS enrolled
FROM household h JOIN cut_mark m ON m.stream = h.stream AND m.cut_id = :cut_id AND h.sequence < m.sequence
LEFT JOIN decision d ON d.household_id = h.household_id AND d.programme_id = :programme_id;

-- name: insert_cycle^
INSERT INTO cycle (cycle_id, programme_id, programme_version, name, cut_id, currency, state, decided, enrolled, opened_by)
VALUES (:cycle_id, :programme_id, :version, :name, :cut_id, :currency, 'opened', :decided, :enrolled, :actor)
ON CONFLICT DO NOTHING RETURNING cycle_id;

-- name: freeze_entitlements!
INSERT INTO entitlement (entitlement_id, cycle_id, programme_id, beneficiary_id, kind, decision_id, region, amount_minor,
                         benefit)
SELECT left(encode(sha256(convert_to(concat_ws(chr(31), :programme_id::text, :cycle_id::text, d.household_id, 'regular'),
                                     'UTF8')), 'hex'), 32),
       :cycle_id, :programme_id, d.household_id, 'regular', d.decision_id, h.region, d.amount_minor, d.benefit
FROM decision d JOIN household h USING (household_id)
JOIN cut_mark m ON m.stream = h.stream AND m.cut_id = :cut_id AND h.sequence < m.sequence
WHERE d.programme_id = :programme_id AND d.outcome = 'enrolled';

-- name: lock_open_cycle^
SELECT cycle_id, programme_id, cut_id, currency FROM cycle WHERE state = 'opened' ORDER BY opened_at LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: unannounced
SELECT entitlement_id, beneficiary_id, kind, decision_id, region, amount_minor, benefit FROM entitlement
WHERE cycle_id = :cycle_id AND NOT announced ORDER BY beneficiary_id LIMIT :most;

-- name: mark_announced!
UPDATE entitlement SET announced = true WHERE entitlement_id = ANY(:ids::text[]);

-- name: cycle_totals^
SELECT count(*) FILTER (WHERE amount_minor > 0) AS entitlements, count(*) FILTER (WHERE amount_minor = 0) AS not_due,
       coalesce(sum(amount_minor), 0)::bigint AS amount_minor FROM entitlement WHERE cycle_id = :cycle_id;

-- name: close_granting!
UPDATE cycle SET state = 'granted' WHERE cycle_id = :cycle_id;

-- name: cycle^
SELECT cycle_id, programme_id, programme_version, name, cut_id, currency, state, decided, enrolled FROM cycle
WHERE cycle_id = :cycle_id;
