-- name: end_guardianships
UPDATE guardianship SET ended_by = :actor, ended_at = clock_timestamp()
WHERE ward_id = ANY(:wards::text[]) AND ended_at IS NULL
RETURNING guardianship_id, ward_id, household_id, receives, since;

-- name: insert_guardianship!
INSERT INTO guardianship (guardianship_id, ward_id, household_id, guardian_kind, guardian_id, payer_id, receives,
    evidence, since, until, made_by, made_at)
VALUES (:guardianship_id, :ward_id, :household_id, :kind, :guardian_id, :payer_id, :receives, :evidence, :since, :until,
    :actor, clock_timestamp());

-- name: wards_of_guardian
SELECT ward_id FROM guardianship WHERE guardian_id = :guardian_id AND ended_at IS NULL ORDER BY ward_id;

-- name: wards_paid_by
SELECT payer_id, ward_id FROM guardianship
WHERE payer_id = ANY(:payers::text[]) AND ended_at IS NULL AND receives ORDER BY ward_id;

-- name: move_wards!
UPDATE guardianship SET household_id = :household_id WHERE ward_id = ANY(:wards::text[]);

-- name: move_guardians
UPDATE guardianship g SET guardian_id = m.now, payer_id = :payer_id
FROM unnest(:people::text[], :now::text[]) AS m (was, now)
WHERE g.guardian_kind = 'person' AND g.guardian_id = m.was AND g.ended_at IS NULL AND g.ward_id <> m.now
RETURNING g.ward_id, g.receives;

-- name: guardianships_run_out
SELECT ward_id FROM guardianship WHERE until < current_date AND ended_at IS NULL ORDER BY ward_id LIMIT :most;

-- name: guardianships_of
SELECT guardianship_id, ward_id AS member_id, guardian_kind, guardian_id, receives, evidence, since, until, made_by,
       made_at, ended_by, ended_at
FROM guardianship
WHERE ward_id = ANY(:wards::text[]) AND made_at <= :moment AND (ended_at IS NULL OR ended_at > :moment)
ORDER BY ward_id;

-- name: institution^
SELECT group_id, coalesce((content #>> '{accreditation,until}')::date >= current_date, false) AS accredited
FROM group_version WHERE group_id = :group_id AND state = 'accepted' AND kind = 'institution'
ORDER BY version DESC LIMIT 1;

-- Institutions whose accreditation has ended and whose account is still open.
-- name: institutions_run_out
SELECT g.group_id FROM group_version g JOIN payee p ON p.household_id = g.group_id AND p.status = 'active'
WHERE g.kind = 'institution' AND g.state = 'accepted'
  AND (g.content #>> '{accreditation,until}')::date < current_date
  AND NOT EXISTS (
      SELECT FROM group_version n WHERE n.group_id = g.group_id AND n.version > g.version AND n.state = 'accepted'
  )
ORDER BY g.group_id LIMIT :most;

-- Wards of these families who have or had an account of their own.
-- name: wards_lent
SELECT DISTINCT g.ward_id, p.version FROM guardianship g JOIN payee p ON p.household_id = g.ward_id
WHERE g.household_id = ANY(:ids::text[]) ORDER BY g.ward_id;
