-- name: end_guardianships
UPDATE guardianship SET ended_by = :actor, ended_at = clock_timestamp()
WHERE ward_id = ANY(:wards::text[]) AND ended_at IS NULL
RETURNING guardianship_id, ward_id, household_id, receives, since;

-- name: insert_guardianship!
INSERT INTO guardianship (guardianship_id, ward_id, household_id, guardian_kind, guardian_id, payer_id, receives,
    evidence, since, until, made_by, made_at, follows)
VALUES (:guardianship_id, :ward_id, :household_id, :kind, :guardian_id, :payer_id, :receives, :evidence, :since, :until,
    :actor, clock_timestamp(), :follows);

-- name: end_merged_guardianships
-- Those of or by people who turned out to be others.
UPDATE guardianship SET ended_by = :actor, ended_at = clock_timestamp(), ended_in_merge = :merge_id
WHERE ended_at IS NULL
  AND (ward_id = ANY(:people::text[]) OR (guardian_kind = 'person' AND guardian_id = ANY(:people::text[])))
RETURNING guardianship_id, ward_id, household_id, guardian_kind, guardian_id, payer_id, receives, evidence, since, until;

-- name: guarded
SELECT ward_id FROM guardianship WHERE ward_id = ANY(:wards::text[]) AND ended_at IS NULL;

-- name: ended_in_merge
-- What a merge ended, with where its successor stands: `live` as long as nobody has ended that since.
SELECT g.guardianship_id, g.ward_id, g.household_id, g.guardian_kind, g.guardian_id, g.payer_id, g.receives, g.evidence,
       g.since, g.until, s.guardianship_id AS successor, s.ended_at IS NULL AS live, s.ward_id AS successor_ward,
       s.payer_id AS successor_payer
FROM guardianship g LEFT JOIN guardianship s ON s.follows = g.guardianship_id
WHERE g.ended_in_merge = :merge_id ORDER BY g.made_at FOR UPDATE OF g;

-- name: wards_of_guardian
SELECT ward_id FROM guardianship WHERE guardian_id = :guardian_id AND ended_at IS NULL ORDER BY ward_id;

-- name: wards_paid_by
SELECT payer_id, ward_id FROM guardianship
WHERE payer_id = ANY(:payers::text[]) AND ended_at IS NULL AND receives ORDER BY ward_id;

-- name: move_wards!
UPDATE guardianship SET household_id = :household_id WHERE ward_id = ANY(:wards::text[]);

-- name: move_guardians
UPDATE guardianship SET payer_id = :payer_id
WHERE guardian_kind = 'person' AND guardian_id = ANY(:people::text[]) AND ended_at IS NULL
RETURNING ward_id, receives;

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
