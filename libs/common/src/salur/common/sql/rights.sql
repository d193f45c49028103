-- name: save_principals!
INSERT INTO known_principal AS known (principal_id, version, status, grants, device_bound, devices, administers)
SELECT id, version, status, grants::jsonb, device_bound,
       ARRAY(SELECT jsonb_array_elements_text(devices::jsonb)), administers
FROM unnest(:ids::text[], :versions::int[], :statuses::text[], :grants::text[], :bound::bool[], :devices::text[],
            :administers::bool[]) AS g (id, version, status, grants, device_bound, devices, administers)
ON CONFLICT (principal_id) DO UPDATE SET version = excluded.version, status = excluded.status,
    grants = excluded.grants, device_bound = excluded.device_bound, devices = excluded.devices,
    administers = excluded.administers
WHERE known.version < excluded.version;

-- name: known_principal^
SELECT status, grants, device_bound, devices FROM known_principal WHERE principal_id = :id;

-- name: administrators$
-- Two at most are counted, of those whose right has not ended.
SELECT count(*) FROM (
    SELECT FROM known_principal p WHERE administers AND EXISTS (
        SELECT FROM jsonb_array_elements(p.grants) AS g (given) WHERE given ->> 'role' = :role
            AND coalesce((given ->> 'expires_at')::timestamptz > now(), true))
    LIMIT 2) AS found;

-- name: device_owner$
SELECT principal_id FROM known_principal WHERE devices @> ARRAY[:device::text] LIMIT 1;
