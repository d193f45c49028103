-- name: gate_rule$
SELECT rule FROM gate_rule WHERE programme_id = :programme_id;

-- name: set_gate_rule!
INSERT INTO gate_rule (programme_id, rule, proposal_id) VALUES (:programme_id, :rule, :proposal_id)
ON CONFLICT (programme_id) DO UPDATE SET rule = excluded.rule, proposal_id = excluded.proposal_id, set_at = now();

-- name: set_programme_payee!
INSERT INTO programme_payee (programme_id, payee_id, proposal_id) VALUES (:programme_id, :payee_id, :proposal_id)
ON CONFLICT (programme_id) DO UPDATE
SET payee_id = excluded.payee_id, proposal_id = excluded.proposal_id, set_at = now();

-- name: unset_programme_payee!
DELETE FROM programme_payee WHERE programme_id = :programme_id;

-- name: payee_known$
SELECT EXISTS (SELECT 1 FROM payee WHERE beneficiary_id = :payee_id);

-- name: close_region!
INSERT INTO closed_region (region, reason, proposal_id) VALUES (:region, :reason, :proposal_id)
ON CONFLICT (region) DO UPDATE SET reason = excluded.reason, proposal_id = excluded.proposal_id;

-- name: reopen_region!
DELETE FROM closed_region WHERE region = :region;

-- name: set_account_reports!
INSERT INTO account_report (account_token, bank, standing, last_used_on)
SELECT * FROM unnest(:tokens::text[], :banks::text[], :standings::text[], :last_used_on::date[])
ON CONFLICT (account_token) DO UPDATE
SET standing = excluded.standing, bank = excluded.bank, last_used_on = excluded.last_used_on, reported_at = now();

-- name: gate_hits
-- Every check over a whole cycle in one statement; only hits come back.
WITH subject AS MATERIALIZED (
    SELECT e.entitlement_id, e.beneficiary_id, e.payee_id, e.amount_minor, e.region,
           p.version, p.status, coalesce(own.living, p.living) AS living, p.since, p.bank, p.method,
           p.account_token, coalesce(own.identity_token, p.identity_token) AS identity_token,
           CASE WHEN own.identity_token IS NULL THEN e.payee_id ELSE e.beneficiary_id END AS identity_of
    FROM entitlement_due e
    LEFT JOIN LATERAL (
        SELECT version, status, living, since, bank, method, account_token, identity_token FROM payee
        WHERE payee.beneficiary_id = e.payee_id ORDER BY version DESC LIMIT 1
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT living, identity_token FROM payee
        WHERE payee.beneficiary_id = e.beneficiary_id AND e.payee_id <> e.beneficiary_id ORDER BY version DESC LIMIT 1
    ) own ON true
    WHERE e.cycle_id = :cycle_id
)
SELECT entitlement_id, 'deceased' AS check_code, jsonb_build_object('payee_version', version) AS evidence
FROM subject WHERE living = 'deceased'
UNION ALL
SELECT entitlement_id, 'not-in-registry', jsonb_build_object('payee_version', version)
FROM subject WHERE status = 'closed' AND living = 'alive'
UNION ALL
SELECT s.entitlement_id, 'duplicate-identity', jsonb_build_object('beneficiaries', d.beneficiaries)
FROM subject s JOIN (
    SELECT identity_token, jsonb_agg(DISTINCT beneficiary_id) AS beneficiaries FROM subject
    WHERE identity_token IS NOT NULL GROUP BY identity_token HAVING count(DISTINCT identity_of) > 1
) d USING (identity_token)
UNION ALL
SELECT s.entitlement_id, 'shared-account', jsonb_build_object('beneficiaries', d.count, 'allowed', :shared_account_max::int)
FROM subject s JOIN (
    SELECT account_token, count(DISTINCT payee_id) AS count FROM subject
    WHERE account_token IS NOT NULL GROUP BY account_token HAVING count(DISTINCT payee_id) > :shared_account_max::int
) d USING (account_token)
UNION ALL
SELECT s.entitlement_id, 'account-changed', jsonb_build_object('payee_version', s.version, 'since', s.since)
FROM subject s
WHERE s.version > 1 AND s.since > now() - make_interval(secs => :cool_off_s::float8) AND EXISTS (
    SELECT 1 FROM payee o WHERE o.beneficiary_id = s.payee_id AND o.version < s.version
      AND o.account_token <> s.account_token)
UNION ALL
SELECT s.entitlement_id, 'dormant-account', jsonb_build_object('standing', r.standing, 'last_used_on', r.last_used_on)
FROM subject s JOIN account_report r USING (account_token) WHERE r.standing <> 'active'
UNION ALL
SELECT s.entitlement_id, CASE WHEN c.result IS NULL THEN 'account-unchecked' ELSE 'account-check-failed' END,
       jsonb_build_object('payee_version', s.version, 'result', c.result, 'asked_at', c.asked_at,
                          'answered_at', c.answered_at, 'evidence', c.evidence)
FROM subject s LEFT JOIN account_check c ON c.beneficiary_id = s.payee_id AND c.version = s.version
WHERE s.status = 'active' AND s.method = ANY (:checked_methods::text[]) AND (
    c.result <> ALL (:good_checks::text[]) OR (c.result IS NULL AND s.bank = ANY (:checked_banks::text[])))
UNION ALL
-- Money that arrived once has shown that the account stands.
SELECT s.entitlement_id, 'account-first-use', jsonb_build_object('payee_version', s.version, 'bank', s.bank)
FROM subject s LEFT JOIN account_check c ON c.beneficiary_id = s.payee_id AND c.version = s.version
WHERE s.status = 'active' AND s.method = ANY (:checked_methods::text[]) AND c.result IS NULL
  AND s.bank = ANY (:unchecking_banks::text[]) AND NOT EXISTS (
    SELECT 1 FROM payment f
    JOIN list_item i ON i.list_id = f.list_id AND i.payment_id = f.payment_id
    JOIN payee o ON o.beneficiary_id = i.payee_id AND o.version = i.payee_version
    WHERE f.beneficiary_id = s.beneficiary_id AND f.state = 'settled' AND i.payee_id = s.payee_id
      AND o.account_token = s.account_token)
UNION ALL
SELECT entitlement_id, 'amount-out-of-bounds',
       jsonb_build_object('amount_minor', amount_minor, 'min_minor', :amount_min::bigint, 'max_minor', :amount_max::bigint)
FROM subject WHERE amount_minor > 0 AND (amount_minor < :amount_min::bigint OR amount_minor > :amount_max::bigint)
UNION ALL
SELECT s.entitlement_id, 'region-closed', jsonb_build_object('region', c.region)
FROM subject s JOIN closed_region c ON s.region = c.region OR starts_with(s.region, c.region || '.')
UNION ALL
SELECT s.entitlement_id, 'refused-last-cycle',
       jsonb_build_object('instruction_id', f.instruction_id, 'state', f.state, 'reason', f.reason)
FROM subject s
CROSS JOIN LATERAL (
    SELECT f.instruction_id, f.state, f.reason, i.payee_id, i.payee_version
    FROM payment f
    JOIN list_item i ON i.list_id = f.list_id AND i.payment_id = f.payment_id
    WHERE f.beneficiary_id = s.beneficiary_id AND f.cycle_id <> :cycle_id AND f.state IN ('rejected', 'returned')
    ORDER BY f.changed_at DESC LIMIT 1
) f
WHERE f.payee_id = s.payee_id AND f.payee_version = s.version AND f.reason = ANY (:account_reasons::text[])
UNION ALL
SELECT DISTINCT ON (s.entitlement_id) s.entitlement_id, 'excluded-by-programme',
       jsonb_build_object('programme_id', l.programme_id, 'instruction_id', x.instruction_id)
FROM subject s
JOIN payment x ON x.beneficiary_id = s.beneficiary_id AND x.state IN ('instructed', 'unknown', 'settled')
    AND x.changed_at > now() - make_interval(secs => :excludes_within_s::float8)
JOIN payment_list l ON l.list_id = x.list_id
WHERE cardinality(:excludes::text[]) > 0 AND l.programme_id = ANY (:excludes::text[]);

-- name: insert_gate_hits!
INSERT INTO gate_hit (list_id, payment_id, check_code, evidence)
SELECT :list_id, g.payment_id, g.check_code, g.evidence
FROM unnest(:payment_ids::text[], :codes::text[], :evidence::jsonb[]) AS g (payment_id, check_code, evidence);

-- name: gate_hits_page
SELECT h.payment_id, h.check_code, h.evidence, i.region, i.hold, i.amount_minor, i.currency
FROM gate_hit h JOIN list_item i USING (list_id, payment_id)
WHERE h.list_id = :list_id AND h.payment_id > :after
ORDER BY h.payment_id, h.check_code LIMIT :most;

-- name: hits_of_payment
SELECT list_id, check_code, evidence FROM gate_hit WHERE payment_id = :payment_id ORDER BY list_id, check_code;

-- name: insert_decision!
INSERT INTO item_decision (decision_id, list_id, payment_id, act, checks, reason, actor, payee_id, payee_version)
VALUES (:decision_id, :list_id, :payment_id, :act, :checks, :reason, :actor, :payee_id, :payee_version);

-- name: newest_item^
-- The newest item of a payment with its list (locked), its payee as it stands now, and the newest decision, also one
-- of a later list that was refused or expired. `decided_now`: nothing about the payee has changed since.
SELECT i.*, l.state AS list_state, l.cycle_id, l.programme_id, l.last_rank, l.instructed_rank, l.check_cause,
       d.act AS decided_act, e.payee_id AS payee_now, y.version AS version_now,
       (d.payee_id, d.payee_version) IS NOT DISTINCT FROM (e.payee_id, y.version) AS decided_now
FROM list_item i JOIN payment_list l ON l.list_id = i.list_id
JOIN entitlement_due e ON e.entitlement_id = i.entitlement_id
LEFT JOIN LATERAL (
    SELECT version FROM payee WHERE payee.beneficiary_id = e.payee_id ORDER BY version DESC LIMIT 1
) y ON true
LEFT JOIN LATERAL (
    SELECT d.act, d.payee_id, d.payee_version FROM item_decision d JOIN payment_list o ON o.list_id = d.list_id
    WHERE d.payment_id = i.payment_id AND (d.list_id = i.list_id OR o.built_at > l.built_at)
    ORDER BY d.decided_at DESC LIMIT 1
) d ON true
WHERE i.payment_id = :payment_id AND l.state NOT IN ('refused', 'expired')
ORDER BY l.built_at DESC LIMIT 1 FOR UPDATE OF l, i;

-- name: cycle_has_open_list$
-- Undecided, or approved and not yet told to the banks: what it holds would be listed twice.
SELECT count(*) FROM payment_list WHERE cycle_id = :cycle_id
    AND (state IN ('building', 'locked', 'submitted') OR state = 'approved' AND instructed_rank < last_rank);

-- name: funds_of_cycle
SELECT DISTINCT f.fund_id, f.share, f.position FROM payment_list l JOIN list_fund f USING (list_id)
WHERE l.cycle_id = :cycle_id AND l.kind = 'regular' AND l.state = 'approved' ORDER BY f.position;

-- name: lock_cycle$
SELECT cycle_id FROM cycle WHERE cycle_id = :cycle_id FOR UPDATE;

-- name: set_approval_band!
INSERT INTO approval_band (currency, over_minor, approvers, proposal_id)
VALUES (:currency, :over_minor, :approvers, :proposal_id)
ON CONFLICT (currency, over_minor) DO UPDATE SET approvers = excluded.approvers, proposal_id = excluded.proposal_id;

-- name: approvers_needed$
SELECT coalesce(max(approvers) FILTER (WHERE over_minor < :amount_minor::bigint), 1) FROM approval_band
WHERE currency = :currency;

-- name: insert_approval!
INSERT INTO list_approval (list_id, approver, content_hash, regions, delegators)
VALUES (:list_id, :approver, :content_hash, :regions, :delegators);

-- name: list_approvals
SELECT approver, regions, delegators, approved_at FROM list_approval WHERE list_id = :list_id ORDER BY approved_at;
