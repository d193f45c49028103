-- name: insert_households
INSERT INTO household (household_id, version, region, attributes, members, content_token, import_id, identity)
SELECT id, 1, region, attributes::jsonb, members::jsonb, token, import_id, identity
FROM unnest(:ids::text[], :regions::text[], :attributes::text[], :members::text[], :tokens::text[],
            :import_ids::text[], :identities::bytea[])
    AS g (id, region, attributes, members, token, import_id, identity)
ON CONFLICT DO NOTHING RETURNING household_id;

-- name: known_households
SELECT household_id, content_token, import_id FROM household WHERE household_id = ANY(:ids::text[]);

-- name: household^
SELECT h.household_id, h.version, h.region, h.attributes, h.members, h.status, h.merged_into, h.registered_at,
       h.changed_at, p.bank, p.version AS payee_version, p.status AS payee_status
FROM household h LEFT JOIN payee p USING (household_id) WHERE h.household_id = :id;

-- name: household_as_of^
SELECT household_id, version, region, attributes, members, status, changed_at AS valid_from, NULL AS valid_until
FROM household WHERE household_id = :id AND changed_at <= :moment
UNION ALL
SELECT household_id, version, region, attributes, members, status, valid_from, valid_until
FROM household_version WHERE household_id = :id AND valid_from <= :moment AND :moment < valid_until;

-- name: household_versions
SELECT version, status, changed_by, changed_at AS valid_from, NULL AS valid_until FROM household
WHERE household_id = :id
UNION ALL
SELECT version, status, changed_by, valid_from, valid_until FROM household_version WHERE household_id = :id
ORDER BY version DESC LIMIT :most;

-- name: lock_households
SELECT household_id, version, region, attributes, members, identity, status, merged_into FROM household
WHERE household_id = ANY(:ids::text[]) ORDER BY household_id FOR UPDATE;

-- name: change_households!
UPDATE household h SET version = g.version, region = g.region, attributes = g.attributes::jsonb,
    members = g.members::jsonb, identity = g.identity, status = g.status, merged_into = g.merged_into,
    changed_by = g.changed_by, changed_at = clock_timestamp()
FROM unnest(:ids::text[], :versions::int[], :regions::text[], :attributes::text[], :members::text[],
            :identities::bytea[], :statuses::text[], :merged_into::text[], :changed_by::text[])
    AS g (id, version, region, attributes, members, identity, status, merged_into, changed_by)
WHERE h.household_id = g.id;

-- name: stated_by!
UPDATE household SET import_id = :import_id WHERE household_id = ANY(:ids::text[]);

-- name: payees
SELECT household_id, version, status, account_token, sealed, usable_from, identity_token FROM payee
WHERE household_id = ANY(:ids::text[]);

-- name: payee_identities
-- By household: the NIK (its token) of the head (`named`), else of the only member; else the household's own.
SELECT h.household_id, n.token, head.member_id IS NOT NULL AND n.member_id IS NOT NULL AS named
FROM household h
CROSS JOIN LATERAL (
    SELECT (SELECT m ->> 'member_id' FROM jsonb_array_elements(h.members) m
            WHERE m #>> '{attributes,relation}' = 'head' LIMIT 1) AS member_id,
           CASE WHEN jsonb_array_length(h.members) = 1 THEN h.members #>> '{0,member_id}' END AS only_id
) head
CROSS JOIN LATERAL (
    SELECT i.token, i.member_id FROM identifier i
    WHERE i.household_id = h.household_id AND i.scheme = 'nik'
      AND (i.member_id IS NULL OR i.member_id = coalesce(head.member_id, head.only_id))
    ORDER BY i.member_id NULLS LAST, i.token LIMIT 1
) n
WHERE h.household_id = ANY(:ids::text[]);

-- name: save_payees!
INSERT INTO payee (household_id, version, status, bank, account_token, sealed, usable_from, changed_by, identity_token)
SELECT id, version, status, bank, token, sealed, coalesce(usable, now()), actor, identity
FROM unnest(:ids::text[], :versions::int[], :statuses::text[], :banks::text[], :tokens::text[], :sealed::bytea[],
            :usable::timestamptz[], :actors::text[], :identities::text[])
    AS g (id, version, status, bank, token, sealed, usable, actor, identity)
ON CONFLICT (household_id) DO UPDATE SET version = excluded.version, status = excluded.status, bank = excluded.bank,
    account_token = excluded.account_token, sealed = excluded.sealed, usable_from = excluded.usable_from,
    changed_by = excluded.changed_by, identity_token = excluded.identity_token, valid_from = clock_timestamp(),
    -- The holder may be another: a version is good only when its own check has found it so.
    check_result = NULL, checked_at = NULL, check_evidence = NULL, name_match = NULL;

-- name: known_identifiers
-- Looked up one by one, as `identifier_owners`.
SELECT g.scheme, g.token, k.household_id, k.member_id
FROM unnest(:schemes::text[], :tokens::text[]) AS g (scheme, token)
CROSS JOIN LATERAL (
    SELECT i.household_id, i.member_id FROM identifier i WHERE i.token = g.token AND i.scheme = g.scheme
    UNION ALL
    SELECT 'deceased', NULL FROM deceased_identifier d WHERE d.token = g.token AND d.scheme = g.scheme
    OFFSET 0
) k;

-- name: member_identifiers
SELECT scheme, token, household_id, member_id FROM identifier
WHERE household_id = ANY(:ids::text[]) AND member_id IS NOT NULL;

-- name: delete_identifiers!
DELETE FROM identifier i USING unnest(:schemes::text[], :tokens::text[]) AS g (scheme, token)
WHERE i.token = g.token AND i.scheme = g.scheme;

-- name: identifier_owner^
SELECT household_id, member_id FROM identifier WHERE scheme = :scheme AND token = :token;

-- name: count_households$
SELECT count(*) FROM household;

-- name: insert_cut^
INSERT INTO registry_cut (cut_id, name, households, made_by) VALUES (:cut_id, :name, :households, :made_by)
ON CONFLICT DO NOTHING RETURNING cut_id;

-- name: cut_by_name^
SELECT cut_id, name, households FROM registry_cut WHERE name = :name;

-- name: identifier_owners
-- Looked up one by one (OFFSET 0): a join would read every identifier while the table is new to the planner.
SELECT g.place, o.household_id, o.member_id, o.region
FROM unnest(:tokens::text[]) WITH ORDINALITY AS g (token, place)
CROSS JOIN LATERAL (
    SELECT i.household_id, i.member_id, h.region
    FROM identifier i JOIN household h ON h.household_id = i.household_id
    WHERE i.scheme = :scheme AND i.token = g.token OFFSET 0
) o
ORDER BY g.place;

-- name: move_identifiers!
UPDATE identifier i SET household_id = g.household_id, member_id = g.member_id
FROM unnest(:schemes::text[], :tokens::text[], :households::text[], :members::text[])
    AS g (scheme, token, household_id, member_id)
WHERE i.token = g.token AND i.scheme = g.scheme;

-- name: insert_merge!
INSERT INTO household_merge (merge_id, absorbed_id, survivor_id, absorbed_version, same_people, identifiers, whole,
    reason, merged_by, payee_status)
VALUES (:merge_id, :absorbed_id, :survivor_id, :absorbed_version, :same_people::jsonb, :identifiers::jsonb, :whole,
    :reason, :merged_by, :payee_status);

-- name: lock_merge^
SELECT merge_id, absorbed_id, survivor_id, absorbed_version, same_people, identifiers, whole, payee_status,
       undone_at
FROM household_merge WHERE merge_id = :merge_id FOR UPDATE;

-- name: undo_merge!
UPDATE household_merge SET undone_by = :actor, undone_reason = :reason, undone_at = now() WHERE merge_id = :merge_id;

-- name: household_version^
SELECT members, identity FROM household_version WHERE household_id = :id AND version = :version;

-- name: region_of$
SELECT region FROM household WHERE household_id = :key
UNION ALL
(SELECT region FROM group_version WHERE group_id = :key ORDER BY version DESC LIMIT 1)
LIMIT 1;
