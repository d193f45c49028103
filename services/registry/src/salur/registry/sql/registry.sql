-- name: insert_households
INSERT INTO household (household_id, version, region, attributes, members, content_hash)
SELECT id, 1, region, attributes::jsonb, members::jsonb, hash
FROM unnest(:ids::text[], :regions::text[], :attributes::text[], :members::text[], :hashes::text[])
    AS g (id, region, attributes, members, hash)
ON CONFLICT DO NOTHING RETURNING household_id;

-- name: content_hashes
SELECT household_id, version, content_hash FROM household WHERE household_id = ANY(:ids::text[]);

-- name: household^
SELECT household_id, version, region, attributes, members, registered_at FROM household WHERE household_id = :id;

-- name: lock_household^
SELECT household_id, version, region, attributes, members, content_hash FROM household
WHERE household_id = :id FOR UPDATE;

-- name: change_household!
UPDATE household SET version = :version, region = :region, attributes = :attributes::jsonb,
    members = :members::jsonb, content_hash = :content_hash WHERE household_id = :id;

-- name: lock_payee^
SELECT version, status, bank, account_token FROM payee WHERE household_id = :id FOR UPDATE;

-- name: save_payee!
INSERT INTO payee (household_id, version, status, bank, account_token, sealed)
VALUES (:id, :version, 'active', :bank, :account_token, :sealed)
ON CONFLICT (household_id) DO UPDATE SET version = excluded.version, status = excluded.status, bank = excluded.bank,
    account_token = excluded.account_token, sealed = excluded.sealed;

-- name: known_identifiers
SELECT scheme, token, household_id FROM identifier
WHERE (scheme, token) IN (SELECT * FROM unnest(:schemes::text[], :tokens::text[]));

-- name: household_by_identifier$
SELECT household_id FROM identifier WHERE scheme = :scheme AND token = :token;

-- name: count_households$
SELECT count(*) FROM household;

-- name: insert_cut!
INSERT INTO registry_cut (cut_id, name, households, made_by) VALUES (:cut_id, :name, :households, :made_by);

-- name: cut_by_name^
SELECT cut_id, name, households FROM registry_cut WHERE name = :name;

-- name: insert_import!
INSERT INTO bulk_import (import_id, sha256, name, size, mapping, state, actor)
VALUES (:import_id, :sha256, :name, :size, :mapping::jsonb, 'awaiting-content', :actor) ON CONFLICT DO NOTHING;

-- name: import_by_id^
SELECT import_id, sha256, name, size, mapping, state, reason, actor, next_row, next_offset, households, refused_rows,
       warnings FROM bulk_import WHERE import_id = :import_id;

-- name: import_by_hash^
SELECT import_id, state, mapping FROM bulk_import WHERE sha256 = :sha256;

-- name: next_import^
SELECT import_id, sha256, name, mapping, actor, next_row, next_offset FROM bulk_import
WHERE state IN ('queued', 'running') ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: set_import_state!
UPDATE bulk_import SET state = :state, reason = :reason WHERE import_id = :import_id;

-- name: progress_import!
UPDATE bulk_import SET state = :state, next_row = :next_row, next_offset = :next_offset,
    households = households + :households, refused_rows = refused_rows + :refused, warnings = warnings + :warnings
WHERE import_id = :import_id;

-- name: insert_issues!
INSERT INTO bulk_import_issue (import_id, row, "column", severity, reason)
SELECT :import_id, * FROM unnest(:rows::bigint[], :columns::text[], :severities::text[], :reasons::text[])
ON CONFLICT DO NOTHING;

-- name: issues_after
SELECT row, "column", severity, reason FROM bulk_import_issue
WHERE import_id = :import_id AND (row, "column", reason) > (:row, :column, :reason)
ORDER BY row, "column", reason LIMIT :most;
