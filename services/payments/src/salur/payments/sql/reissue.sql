-- name: set_reissue_order!
INSERT INTO reissue_order (programme_id, max_minor, attempts_max, retry_after_s, proposal_id)
VALUES (:programme_id, :max_minor, :attempts_max, :retry_after_s, :proposal_id)
ON CONFLICT (programme_id) DO UPDATE
SET max_minor = excluded.max_minor, attempts_max = excluded.attempts_max, retry_after_s = excluded.retry_after_s,
    proposal_id = excluded.proposal_id, set_at = now();

-- name: next_reissue^
-- The next cycle with a failed payment under a standing order and no list that is undecided.
SELECT f.cycle_id, l.programme_id, o.max_minor, o.attempts_max, o.retry_after_s, o.proposal_id, d.proposed_by, d.decided_by
FROM reissue_order o
JOIN proposal d ON d.proposal_id = o.proposal_id
JOIN payment_list l ON l.programme_id = o.programme_id AND l.state = 'approved'
JOIN payment f ON f.list_id = l.list_id AND f.cycle_id = l.cycle_id AND f.state IN ('rejected', 'returned')
WHERE f.cycle_id > :after AND o.max_minor > 0 AND NOT EXISTS (
    SELECT 1 FROM payment_list u WHERE u.cycle_id = l.cycle_id AND u.state IN ('building', 'locked', 'submitted'))
ORDER BY f.cycle_id LIMIT 1;

-- name: reissue_candidates
-- Newest attempts that failed and whose cause is gone: another account, time has passed, or two people said so.
SELECT e.entitlement_id, e.beneficiary_id, coalesce(e.due_minor, e.amount_minor) AS amount_minor, e.currency, e.region,
       p.version AS payee_version, p.status AS payee_status, p.bank, p.account_token, f.attempt + 1 AS attempt,
       '{}'::text[] AS released
FROM payment f
JOIN entitlement e ON e.entitlement_id = f.entitlement_id
JOIN LATERAL (
    SELECT i.hold, i.list_id FROM list_item i JOIN payment_list l ON l.list_id = i.list_id
    WHERE i.payment_id = f.payment_id AND l.state = 'approved' ORDER BY l.built_at DESC LIMIT 1
) n ON true
JOIN list_item i ON i.list_id = f.list_id AND i.payment_id = f.payment_id
JOIN payee o ON o.beneficiary_id = f.beneficiary_id AND o.version = i.payee_version
JOIN LATERAL (
    SELECT version, status, bank, account_token, since FROM payee
    WHERE payee.beneficiary_id = f.beneficiary_id ORDER BY version DESC LIMIT 1
) p ON true
WHERE f.cycle_id = :cycle_id AND f.state IN ('rejected', 'returned') AND e.entitlement_id > :after
  AND f.attempt < :attempts_max AND coalesce(e.due_minor, e.amount_minor) <= :max_minor
  AND f.cancel_reason IS DISTINCT FROM 'list-stopped'
  AND NOT EXISTS (SELECT 1 FROM payment y WHERE y.payment_id = f.payment_id AND y.attempt > f.attempt)
  AND (n.hold IS NULL OR n.list_id <> f.list_id AND n.hold <> ALL (:needs_decision::text[]) AND n.hold <> 'cancelled')
  AND (p.account_token = o.account_token OR p.since <= now() - make_interval(secs => :cool_off_s::float8))
  AND (f.reason = ANY (:account_reasons::text[]) AND p.version > i.payee_version
           AND (p.account_token <> o.account_token OR f.reason = 'BE01')
       OR f.reason = ANY (:passing_reasons::text[])
           AND f.changed_at <= now() - make_interval(secs => :retry_after_s::float8)
       OR EXISTS (SELECT 1 FROM money_case c WHERE c.payment_id = f.payment_id AND c.kind = 'failed-payment'
                  AND c.state = 'retried' AND c.opened_at >= f.changed_at))
ORDER BY e.entitlement_id LIMIT :most;

-- name: end_failed_cases!
UPDATE money_case SET state = :state, proposal_id = :proposal_id
WHERE payment_id = ANY (:payment_ids::text[]) AND kind = 'failed-payment' AND state = 'open';

-- name: reissued_of_cycle$
SELECT count(*) FROM payment WHERE cycle_id = :cycle_id AND attempt > 1;
