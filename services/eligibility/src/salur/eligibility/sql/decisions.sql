-- name: current_versions
SELECT household_id, version FROM household WHERE household_id = ANY(:ids::text[]) AND replaced_by IS NULL;

-- name: confirm_households!
-- Joined by the key: a version that was replaced has been taken anew already.
UPDATE household h SET taken_at = greatest(h.taken_at, g.taken)
FROM (SELECT id, version, max(taken) AS taken
      FROM unnest(:ids::text[], :versions::int[], :moments::timestamptz[]) AS u (id, version, taken)
      GROUP BY id, version) AS g
WHERE h.household_id = g.id AND h.version = g.version AND h.replaced_by IS NULL;

-- name: replace_households!
UPDATE household h SET replaced_by = g.sequence
FROM unnest(:ids::text[], :sequences::bigint[]) AS g (id, sequence)
WHERE h.household_id = g.id AND h.replaced_by IS NULL;

-- name: save_cut_marks!
INSERT INTO cut_mark (cut_id, partition, sequence, households)
SELECT * FROM unnest(:cut_ids::text[], :partitions::int[], :sequences::bigint[], :households::bigint[])
ON CONFLICT DO NOTHING;

-- name: undecided
-- Households without a decision by this programme: as they stand now, and as they stood at the latest cut. OFFSET 0
-- has each looked up as its turn comes: an anti join reads all decisions again for every page.
SELECT h.household_id, h.version, h.region, h.attributes, h.members FROM household h
WHERE (h.household_id, h.version) > (:after_id::text, :after_version::int) AND h.merged_into IS NULL
  AND h.kind = :subject
  AND (h.replaced_by IS NULL OR EXISTS (
       SELECT 1 FROM (SELECT max(c.sequence) AS sequence FROM cut_mark c WHERE c.partition = h.partition) latest
       WHERE h.sequence < latest.sequence AND h.replaced_by > latest.sequence))
  AND NOT EXISTS (
       SELECT 1 FROM decision d
       WHERE d.programme = :programme AND d.household_id = h.household_id AND d.household_version = h.version
       OFFSET 0)
ORDER BY h.household_id, h.version LIMIT :most;

-- name: progress^
SELECT count(*) AS known, count(d.enrolled) AS decided, count(*) FILTER (WHERE d.enrolled) AS enrolled
FROM household h
LEFT JOIN LATERAL (
    SELECT enrolled FROM decision
    WHERE programme = :programme AND household_id = h.household_id AND household_version = h.version
      AND overturned_by IS NULL
    LIMIT 1
) d ON true
WHERE h.replaced_by IS NULL AND h.merged_into IS NULL AND h.kind = :subject;

-- name: unmet_counts
SELECT code, count(*) AS unmet FROM household h
CROSS JOIN LATERAL (
    SELECT unmet FROM decision
    WHERE programme = :programme AND household_id = h.household_id AND household_version = h.version
      AND NOT enrolled AND overturned_by IS NULL
    LIMIT 1
) d
CROSS JOIN LATERAL unnest(d.unmet) AS code
WHERE h.replaced_by IS NULL GROUP BY code;

-- name: decisions_page
SELECT d.household_id, d.household_version, d.decision_id, d.enrolled, d.unmet, d.criteria, d.amount_minor
FROM decision d
JOIN household h ON h.household_id = d.household_id AND h.version = d.household_version AND h.replaced_by IS NULL
WHERE d.programme = :programme AND d.household_id > :after AND d.overturned_by IS NULL
  AND (:regions::text[] = '{}' OR EXISTS (
       SELECT 1 FROM unnest(:regions::text[]) AS r WHERE h.region = r OR h.region LIKE r || '.%'))
ORDER BY d.household_id LIMIT :most;

-- name: decision_of^
SELECT d.household_id, d.household_version AS version, d.decision_id, d.enrolled, d.unmet, d.criteria, d.components,
       d.not_due, d.amount_minor, d.input_hash, d.decided_at, d.corrections, h.region, h.attributes, h.members
FROM decision d
JOIN household h ON h.household_id = d.household_id AND h.version = d.household_version AND h.replaced_by IS NULL
WHERE d.programme = :programme AND d.household_id = :household_id AND d.overturned_by IS NULL;

-- name: replay_page
SELECT d.programme, d.household_id, d.household_version AS version, d.occasion, d.decision_id, d.unmet, d.criteria,
       d.components, d.not_due, d.amount_minor, d.input_hash, d.enrolled_members, d.corrections, h.region, h.attributes,
       h.members
FROM decision d
JOIN household h ON h.household_id = d.household_id AND h.version = d.household_version
    AND h.merged_into IS DISTINCT FROM 'erased'
WHERE (d.programme, d.household_id, d.household_version, d.occasion)
    > (:after_programme::int, :after_id::text, :after_version::int, :after_occasion::text)
  AND d.input_hash <> 'erased'
  AND (:programme_id::text IS NULL
       OR d.programme IN (SELECT number FROM programme WHERE programme_id = :programme_id::text))
ORDER BY d.programme, d.household_id, d.household_version, d.occasion LIMIT :most;

-- name: region_of$
SELECT region FROM household WHERE household_id = :key ORDER BY version DESC LIMIT 1;

-- name: erase_households!
WITH facts AS (
    UPDATE household SET attributes = '{}', members = '[]', merged_into = 'erased' WHERE household_id = ANY(:ids::text[])
), reasons AS (
    UPDATE decision SET criteria = '[]', corrections = NULL WHERE household_id = ANY(:ids::text[])
), appeals AS (
    UPDATE appeal SET statement = '', evidence = '[]' WHERE household_id = ANY(:ids::text[])
), late AS (
    DELETE FROM late_change WHERE household_id = ANY(:ids::text[])
), reports AS (
    DELETE FROM condition_report WHERE household_id = ANY(:ids::text[])
)
SELECT 1;

-- name: erase_person!
-- One person of a family: out of every version before the given one, with the reasons such versions gave.
WITH facts AS (
    UPDATE household SET members = coalesce((
        SELECT jsonb_agg(m) FROM jsonb_array_elements(members) AS m WHERE m ->> 'member_id' <> :member_id), '[]')
    WHERE household_id = :id AND version < :version
), reasons AS (
    UPDATE decision SET criteria = '[]', corrections = NULL, input_hash = 'erased'
    WHERE household_id = :id AND household_version < :version
), appeals AS (
    UPDATE appeal SET statement = '', evidence = '[]' WHERE household_id = :id
), late AS (
    DELETE FROM late_change WHERE household_id = :id AND member_id = :member_id AND done
), reports AS (
    DELETE FROM condition_report WHERE household_id = :id AND subject_id = :member_id
)
SELECT 1;
