-- name: lock_group
SELECT group_id, version, kind, region, content, sealed, account, state, proposed_by FROM group_version
WHERE group_id = :group_id ORDER BY version FOR UPDATE;

-- name: insert_group_version^
INSERT INTO group_version (group_id, version, kind, region, content, sealed, account, proposed_by)
VALUES (:group_id, :version, :kind, :region, :content::jsonb, :sealed, :account, :actor)
ON CONFLICT DO NOTHING RETURNING version;

-- name: decide_group!
UPDATE group_version SET state = :state, decided_by = :actor, decided_at = now(), note = :note
WHERE group_id = :group_id AND version = :version;

-- name: group_versions
SELECT group_id, version, kind, region, content, account IS NOT NULL AS has_account, state, proposed_by, proposed_at,
       decided_by, decided_at, note
FROM group_version WHERE group_id = :group_id ORDER BY version DESC LIMIT :most;

-- name: groups_after
SELECT g.group_id, g.version, g.kind, g.region, g.content, g.state, g.proposed_by
FROM group_version g
WHERE g.group_id > :after AND g.state = :state AND (:kind::text IS NULL OR g.kind = :kind)
  AND (:every::boolean OR g.region LIKE ANY(:patterns::text[]))
  AND (:ends_before::date IS NULL OR (g.content #>> '{accreditation,until}')::date < :ends_before)
  AND NOT EXISTS (
      SELECT FROM group_version n WHERE n.group_id = g.group_id AND n.version > g.version AND n.state = g.state
  )
ORDER BY g.group_id LIMIT :most;

-- name: people_of_identifiers
SELECT g.place, p.household_id, p.member_id, p.region
FROM unnest(:schemes::text[], :tokens::text[]) WITH ORDINALITY AS g (scheme, token, place)
CROSS JOIN LATERAL (
    SELECT i.household_id, i.member_id, h.region
    FROM identifier i JOIN household h ON h.household_id = i.household_id
    WHERE i.token = g.token AND i.scheme = g.scheme AND i.member_id IS NOT NULL OFFSET 0
) p;
