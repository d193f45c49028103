-- name: await_checks!
INSERT INTO account_check (check_id, beneficiary_id, version, bank)
SELECT * FROM unnest(:check_ids::text[], :beneficiary_ids::text[], :versions::int[], :banks::text[])
ON CONFLICT DO NOTHING;

-- name: payees_unchecked
-- Present active accounts at banks that check, nobody has asked about: taken before the bank began to check.
SELECT p.beneficiary_id, p.version, p.bank
FROM (SELECT DISTINCT ON (beneficiary_id) beneficiary_id, version, bank, status, method FROM payee
      ORDER BY beneficiary_id, version DESC) p
WHERE p.status = 'active' AND p.method = ANY (:methods::text[]) AND p.bank = ANY (:banks::text[])
  AND NOT EXISTS (SELECT 1 FROM account_check c WHERE c.beneficiary_id = p.beneficiary_id AND c.version = p.version);

-- name: checks_to_ask
-- Takes what is to be asked, again with doubling waits, and sets when to ask once more.
WITH due AS (
    SELECT check_id FROM account_check WHERE result IS NULL AND ask_at <= now()
    ORDER BY ask_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE account_check c
SET asks = c.asks + 1, asked_at = coalesce(c.asked_at, now()),
    ask_at = now() + make_interval(
        secs => least(:interval_max_s::float8, :interval_s::float8 * power(2, least(c.asks, 30))))
FROM due, payee p
WHERE c.check_id = due.check_id AND p.beneficiary_id = c.beneficiary_id AND p.version = c.version
RETURNING c.check_id, c.beneficiary_id, c.bank, c.asks, c.seed, p.sealed;

-- name: keep_commitments!
UPDATE account_check c SET seed = g.seed, account_commitment = g.account_commitment
FROM unnest(:check_ids::text[], :seeds::bytea[], :commitments::text[]) AS g (check_id, seed, account_commitment)
WHERE c.check_id = g.check_id;

-- name: lock_checks
SELECT check_id, beneficiary_id, version, bank, asked_at, account_commitment, bank_result
FROM account_check WHERE check_id = ANY (:check_ids::text[]) ORDER BY check_id FOR UPDATE;

-- name: answer_checks!
UPDATE account_check c
SET result = g.result, bank_result = g.result, answered_at = :answered_at::timestamptz, evidence = g.evidence
FROM unnest(:check_ids::text[], :results::text[], :evidence::text[]) AS g (check_id, result, evidence)
WHERE c.check_id = g.check_id;

-- name: record_checks!
-- The registry's word: a person's record, or the bank's own that we know already.
INSERT INTO account_check AS c (check_id, beneficiary_id, version, bank, result, answered_at, evidence)
SELECT * FROM unnest(:check_ids::text[], :beneficiary_ids::text[], :versions::int[], :banks::text[], :results::text[],
                     :answered_at::timestamptz[], :evidence::text[])
ON CONFLICT (beneficiary_id, version) DO UPDATE
SET result = excluded.result, answered_at = excluded.answered_at, evidence = excluded.evidence
WHERE c.result IS DISTINCT FROM excluded.result;
