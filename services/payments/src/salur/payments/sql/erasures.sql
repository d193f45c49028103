-- name: close_erased!
-- The version after the last has no account: what a list still pins to the one before is held.
WITH new AS (
    INSERT INTO erasure_due (beneficiary_id, erasure_id)
    SELECT * FROM unnest(:beneficiary_ids::text[], :erasure_ids::text[]) ON CONFLICT DO NOTHING RETURNING beneficiary_id
)
INSERT INTO payee (beneficiary_id, version, status, bank, account_token, sealed, since, identity_token, living)
SELECT DISTINCT ON (p.beneficiary_id)
       p.beneficiary_id, p.version + 1, 'closed', p.bank, p.account_token, '', now(), NULL, p.living
FROM new JOIN payee p USING (beneficiary_id) ORDER BY p.beneficiary_id, p.version DESC;

-- name: erasures_due
-- Erased beneficiaries without a payment under way and without one since `before`.
SELECT d.beneficiary_id, d.erasure_id FROM erasure_due d
WHERE d.erased_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM payment p WHERE p.beneficiary_id = d.beneficiary_id
      AND (p.state IN ('instructed', 'unknown') OR p.changed_at >= :before))
ORDER BY d.beneficiary_id LIMIT :most FOR UPDATE OF d SKIP LOCKED;

-- name: ask_no_more!
UPDATE account_check SET ask_at = 'infinity' WHERE beneficiary_id = ANY(:beneficiary_ids::text[]) AND result IS NULL;

-- name: subjects_of
-- Whose keys seal what was said of these beneficiaries.
SELECT beneficiary_id, payment_id AS subject FROM payment WHERE beneficiary_id = ANY(:beneficiary_ids::text[])
UNION
SELECT beneficiary_id, check_id FROM account_check WHERE beneficiary_id = ANY(:beneficiary_ids::text[]);

-- name: empty_checks!
UPDATE account_check SET seed = NULL WHERE beneficiary_id = ANY(:beneficiary_ids::text[]);

-- name: empty_payees!
UPDATE payee SET sealed = '' WHERE beneficiary_id = ANY(:beneficiary_ids::text[]) AND sealed <> '';

-- name: erasures_done!
UPDATE erasure_due SET erased_at = now() WHERE beneficiary_id = ANY(:beneficiary_ids::text[]);

-- name: due_payment_accounts$
SELECT count(*) FROM erasure_due d
WHERE d.erased_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM payment p WHERE p.beneficiary_id = d.beneficiary_id
      AND (p.state IN ('instructed', 'unknown') OR p.changed_at >= :before));
