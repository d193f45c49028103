-- name: insert_consent^
INSERT INTO consent (consent_id, household_id, member_id, purpose, lawful_basis, notice, collection, evidence,
    valid_until, recorded_by, given_at, controller, pii_categories, recipients, storage, jurisdiction, language)
VALUES (:consent_id, :household_id, :member_id, :purpose, :lawful_basis, :notice, :collection, :evidence,
    :valid_until, :actor, :given_at, :controller, :pii_categories, :recipients, :storage, :jurisdiction, :language)
ON CONFLICT DO NOTHING RETURNING consent_id;

-- name: consents
SELECT consent_id, household_id, member_id, purpose, lawful_basis, notice, collection, evidence, valid_until,
       controller, pii_categories, recipients, storage, jurisdiction, language, recorded_by, given_at, recorded_at,
       withdrawn_at, withdrawn_by, withdrawal,
       CASE WHEN withdrawn_at <= :then THEN 'withdrawn' WHEN valid_until < (:then::timestamptz)::date THEN 'expired'
            ELSE 'given' END AS state
FROM consent WHERE household_id = :household_id AND given_at <= :then ORDER BY consent_id;

-- name: consent^
SELECT c.consent_id, c.household_id, c.member_id, c.purpose, c.lawful_basis, c.notice, c.collection, c.evidence,
       c.valid_until, c.controller, c.pii_categories, c.recipients, c.storage, c.jurisdiction, c.language, c.recorded_by,
       c.given_at, c.withdrawn_at, c.withdrawn_by, c.withdrawal, h.region
FROM consent c JOIN household h USING (household_id) WHERE c.consent_id = :consent_id;

-- name: lock_consent^
SELECT c.consent_id, c.household_id, c.purpose, c.lawful_basis, c.withdrawn_at, h.region
FROM consent c JOIN household h USING (household_id) WHERE c.consent_id = :consent_id FOR UPDATE OF c;

-- name: withdraw_consent!
UPDATE consent SET withdrawn_at = now(), withdrawn_by = :actor, withdrawal = :reason WHERE consent_id = :consent_id;

-- name: payee_versions
SELECT version, status, bank, usable_from, changed_by, check_result, name_match, checked_at, check_evidence, valid_from,
       NULL AS valid_until
FROM payee WHERE household_id = :id
UNION ALL
SELECT version, status, bank, usable_from, changed_by, check_result, name_match, checked_at, check_evidence, valid_from,
       valid_until
FROM payee_version WHERE household_id = :id ORDER BY version DESC;

-- name: families_of_accounts
SELECT account_token, count(*) AS families FROM payee JOIN household USING (household_id)
WHERE account_token = ANY(:tokens::text[]) AND payee.status <> 'closed' GROUP BY account_token;

-- name: check_payees
-- Only present versions; gives what was recorded.
UPDATE payee p SET check_result = g.result, name_match = g.name_match, checked_at = g.checked_at, check_evidence = g.evidence
FROM unnest(:ids::text[], :versions::int[], :results::text[], :matches::text[], :moments::timestamptz[], :evidence::text[])
    AS g (id, version, result, name_match, checked_at, evidence)
WHERE p.household_id = g.id AND p.version = g.version
RETURNING p.household_id, p.version, p.bank, p.check_result, p.name_match, p.checked_at, p.check_evidence;
