-- name: insert_principal^
INSERT INTO principal (principal_id, registered_by) VALUES (:id, :by) ON CONFLICT DO NOTHING RETURNING principal_id;

-- name: lock_principals
SELECT principal_id, version, status, suspended_by FROM principal
WHERE principal_id = ANY(:ids::text[]) ORDER BY principal_id FOR UPDATE;

-- name: advance_principals
UPDATE principal SET version = version + 1 WHERE principal_id = ANY(:ids::text[])
RETURNING principal_id, version, status, device_bound;

-- name: principal^
SELECT principal_id, version, status, device_bound, registered_by, registered_at FROM principal
WHERE principal_id = :id;

-- name: principals_after
SELECT principal_id, version, status, device_bound FROM principal WHERE principal_id > :after
ORDER BY principal_id LIMIT :most;

-- name: suspend_principal!
UPDATE principal SET status = 'suspended', suspended_by = :by WHERE principal_id = :id;

-- name: reinstate_principal!
UPDATE principal SET status = 'active', suspended_by = NULL WHERE principal_id = :id;

-- name: grants_of
SELECT grant_id, principal_id, role, regions, expires_at, delegated_by, state, proposed_by, proposed_at, decided_by
FROM right_grant WHERE principal_id = ANY(:ids::text[]) AND state IN ('proposed', 'active')
ORDER BY principal_id, proposed_at, grant_id;

-- name: grant_by_id^
SELECT grant_id, principal_id, role, regions, expires_at, delegated_from, delegated_by, state, proposed_by, decided_by
FROM right_grant WHERE grant_id = :id;

-- name: propose_grant^
INSERT INTO right_grant (grant_id, principal_id, role, regions, expires_at, state, proposed_by)
VALUES (:id, :principal, :role, :regions::text[], :expires_at, 'proposed', :by)
ON CONFLICT (principal_id, role, regions) WHERE state = 'proposed' DO NOTHING RETURNING grant_id;

-- name: proposed_grant^
SELECT grant_id, expires_at, proposed_by FROM right_grant
WHERE principal_id = :principal AND role = :role AND regions = :regions::text[] AND state = 'proposed';

-- name: delegate_grant!
INSERT INTO right_grant (grant_id, principal_id, role, regions, expires_at, delegated_from, delegated_by, state,
                         proposed_by, decided_by, decided_at)
VALUES (:id, :principal, :role, :regions::text[], :expires_at, :source, :by, 'active', :by, :by, now());

-- name: decide_grant!
UPDATE right_grant SET state = :state, decided_by = :by, decided_at = now() WHERE grant_id = :id;

-- name: grants_falling_with
SELECT grant_id, principal_id FROM right_grant
WHERE state IN ('proposed', 'active') AND (grant_id = :id OR delegated_from = :id);

-- name: delegations_by
SELECT grant_id, principal_id FROM right_grant WHERE delegated_by = :by AND state = 'active';

-- name: revoke_grants!
UPDATE right_grant SET state = 'revoked', decided_by = :by, decided_at = now() WHERE grant_id = ANY(:ids::text[]);

-- name: devices_of
SELECT device_id, principal_id FROM device
WHERE principal_id = ANY(:ids::text[]) AND revoked_by IS NULL ORDER BY device_id;

-- name: insert_device^
INSERT INTO device (device_id, principal_id, registered_by) VALUES (:id, :principal, :by)
ON CONFLICT DO NOTHING RETURNING device_id;

-- name: bind_principal!
UPDATE principal SET device_bound = true WHERE principal_id = :id;

-- name: device_by_id^
SELECT device_id, principal_id, revoked_by FROM device WHERE device_id = :id;

-- name: revoke_device!
UPDATE device SET revoked_by = :by WHERE device_id = :id AND revoked_by IS NULL;
