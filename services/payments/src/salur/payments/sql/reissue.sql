-- name: set_reissue_order!
INSERT INTO reissue_order (programme_id, max_minor, attempts_max, retry_after_s, proposal_id)
VALUES (:programme_id, :max_minor, :attempts_max, :retry_after_s, :proposal_id)
ON CONFLICT (programme_id) DO UPDATE
SET max_minor = excluded.max_minor, attempts_max = excluded.attempts_max, retry_after_s = excluded.retry_after_s,
    proposal_id = excluded.proposal_id, set_at = now();

-- name: next_reissue^
-- The next cycle with a failed payment under a standing order and no list that is undecided or not yet instructed.
SELECT f.cycle_id, l.programme_id, o.max_minor, o.attempts_max, o.retry_after_s, o.proposal_id, d.proposed_by, d.decided_by
FROM reissue_order o
JOIN proposal d ON d.proposal_id = o.proposal_id
JOIN payment_list l ON l.programme_id = o.programme_id AND l.state = 'approved'
JOIN payment f ON f.list_id = l.list_id AND f.cycle_id = l.cycle_id AND f.state IN ('rejected', 'returned')
WHERE f.cycle_id > :after AND o.max_minor > 0 AND NOT EXISTS (
    SELECT 1 FROM payment_list u WHERE u.cycle_id = l.cycle_id
        AND (u.state IN ('building', 'locked', 'submitted') OR u.state = 'approved' AND u.instructed_rank < u.last_rank))
ORDER BY f.cycle_id LIMIT 1;

-- name: reissue_candidates
-- Newest attempts that failed and whose cause is gone: another account, time has passed, or two people said so.
SELECT e.entitlement_id, e.beneficiary_id, d.due_minor AS amount_minor, e.currency, e.region, p.version AS payee_version,
       p.status AS payee_status, p.bank, p.account_token, e.payee_id, p.method, f.attempt + 1 AS attempt, f.part,
       e.entitlement_id || '/' || f.part AS place, '{}'::text[] AS released
FROM payment f
JOIN entitlement_due e ON e.entitlement_id = f.entitlement_id
CROSS JOIN LATERAL part_due(f.entitlement_id, f.part) AS d (due_minor)
JOIN LATERAL (
    SELECT i.hold, i.list_id FROM list_item i JOIN payment_list l ON l.list_id = i.list_id
    WHERE i.payment_id = f.payment_id AND l.state = 'approved' ORDER BY l.built_at DESC LIMIT 1
) n ON true
JOIN list_item i ON i.list_id = f.list_id AND i.payment_id = f.payment_id
JOIN payee o ON o.beneficiary_id = i.payee_id AND o.version = i.payee_version
JOIN LATERAL (
    SELECT version, status, bank, account_token, method, since FROM payee
    WHERE payee.beneficiary_id = e.payee_id ORDER BY version DESC LIMIT 1
) p ON true
WHERE f.cycle_id = :cycle_id AND f.state IN ('rejected', 'returned') AND e.entitlement_id || '/' || f.part > :after
  AND f.attempt < :attempts_max AND d.due_minor <= :max_minor
  AND coalesce(f.cancel_reason, '') NOT IN ('list-stopped', 'payment-withdrawn')
  AND NOT EXISTS (SELECT 1 FROM payment y WHERE y.payment_id = f.payment_id AND y.attempt > f.attempt)
  AND (n.hold IS NULL OR n.list_id <> f.list_id AND n.hold <> ALL (:needs_decision::text[]) AND n.hold <> 'cancelled')
  AND (p.account_token = o.account_token OR p.since <= now() - make_interval(secs => :cool_off_s::float8))
  AND (f.reason = ANY (:account_reasons::text[]) AND p.version > i.payee_version
           AND (p.account_token <> o.account_token OR f.reason = 'BE01')
       OR f.reason = ANY (:passing_reasons::text[])
           AND f.changed_at <= now() - make_interval(secs => :retry_after_s::float8)
       OR EXISTS (SELECT 1 FROM money_case c WHERE c.payment_id = f.payment_id AND c.kind = 'failed-payment'
                  AND c.state = 'retried' AND c.opened_at >= f.changed_at))
ORDER BY place LIMIT :most;

-- name: follow_up_candidates
-- What earlier lists of a cycle did not pay and could be paid now, by the newest item of each payment, and supplements.
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (i.payment_id) i.payment_id, i.list_id, i.hold, i.part, i.attempt, i.payee_version,
           i.entitlement_id, i.payment_id AS decided_as, l.built_at
    FROM payment_list l JOIN list_item i ON i.list_id = l.list_id
    WHERE l.cycle_id = :cycle_id AND l.state = 'approved'
    ORDER BY i.payment_id, l.built_at DESC
), subject AS (
    SELECT * FROM newest
    UNION ALL
    -- What a person decided about the first part of an entitlement counts for a part that no list has held yet.
    SELECT s.payment_id, n.list_id, 'supplement-due', s.part, 1, NULL, s.entitlement_id, n.payment_id, n.built_at
    FROM supplement s JOIN newest n ON n.entitlement_id = s.entitlement_id AND n.part = 1
    WHERE s.cycle_id = :cycle_id AND NOT EXISTS (SELECT 1 FROM newest o WHERE o.payment_id = s.payment_id)
)
SELECT e.entitlement_id, e.beneficiary_id, u.due_minor AS amount_minor, e.currency, e.region,
       p.version AS payee_version, p.status AS payee_status, p.bank, p.account_token, e.payee_id, p.method,
       CASE WHEN f.instruction_id IS NULL THEN n.attempt ELSE f.attempt + 1 END AS attempt, n.part,
       e.entitlement_id || '/' || n.part AS place,
       -- What a person released about an account holds for that account only.
       ARRAY(SELECT c.code FROM unnest(d.checks) AS c (code) WHERE c.code <> ALL (:account_checks::text[])
             OR (d.payee_id, d.payee_version) = (e.payee_id, p.version)) AS released
FROM subject n
JOIN entitlement_due e ON e.entitlement_id = n.entitlement_id
CROSS JOIN LATERAL part_due(n.entitlement_id, n.part) AS u (due_minor)
LEFT JOIN LATERAL (
    SELECT version, status, bank, account_token, method FROM payee
    WHERE payee.beneficiary_id = e.payee_id ORDER BY version DESC LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    -- Also of a later list that was refused or expired: the list ended, the decision did not.
    SELECT act, checks, d.payee_id, d.payee_version FROM item_decision d JOIN payment_list l USING (list_id)
    WHERE d.payment_id = n.decided_as AND (d.list_id = n.list_id OR l.built_at > n.built_at)
    ORDER BY decided_at DESC LIMIT 1
) d ON true
LEFT JOIN LATERAL (
    SELECT instruction_id, attempt, state, cancel_reason
    FROM payment y WHERE y.payment_id = n.payment_id ORDER BY attempt DESC LIMIT 1
) f ON true
WHERE e.entitlement_id || '/' || n.part > :after
  AND d.act IS DISTINCT FROM 'cancel' AND d.act IS DISTINCT FROM 'hold'
  AND (f.state IS NULL OR f.state IN ('rejected', 'returned'))
  AND CASE
      WHEN n.hold IS NOT NULL THEN
          n.hold <> 'cancelled' AND (d.act IN ('release', 'retry') OR n.hold <> ALL (:needs_decision::text[]))
      ELSE f.state IS NOT NULL AND (d.act = 'retry'
          -- What people withdrew or stopped is paid again only when a person says so.
          OR coalesce(f.cancel_reason, '') NOT IN ('list-stopped', 'payment-withdrawn')
             AND (p.version > n.payee_version OR f.cancel_reason IS NOT NULL))
  END
ORDER BY place LIMIT :most;

-- name: waiting_for
-- What a cycle has not paid and who must act: held, failed, or a supplement that no list holds yet.
SELECT i.payment_id, i.list_id, i.amount_minor, i.currency, i.region, i.hold, a.state, a.reason, a.attempt,
       extract(epoch FROM now() - coalesce(a.changed_at, l.checked_at, l.built_at))::bigint AS age_s
FROM (
    SELECT DISTINCT ON (i.payment_id) i.*
    FROM payment_list l JOIN list_item i ON i.list_id = l.list_id
    WHERE l.cycle_id = :cycle_id AND l.state NOT IN ('refused', 'expired') AND i.payment_id > :after
    ORDER BY i.payment_id, l.built_at DESC
) i
JOIN payment_list l ON l.list_id = i.list_id
LEFT JOIN LATERAL (
    SELECT state, reason, attempt, changed_at FROM payment p WHERE p.payment_id = i.payment_id
    ORDER BY attempt DESC LIMIT 1
) a ON i.hold IS NULL
WHERE i.hold IS NOT NULL AND i.hold <> 'cancelled' OR a.state IN ('rejected', 'returned')
UNION ALL
SELECT s.payment_id, NULL, s.amount_minor, e.currency, e.region, 'supplement-due', NULL, NULL, 0,
       extract(epoch FROM now() - s.granted_at)::bigint
FROM supplement s JOIN entitlement e USING (entitlement_id)
WHERE s.cycle_id = :cycle_id AND s.payment_id > :after AND NOT EXISTS (
    SELECT 1 FROM list_item i JOIN payment_list l USING (list_id)
    WHERE i.payment_id = s.payment_id AND l.state NOT IN ('refused', 'expired'))
ORDER BY payment_id LIMIT :most;

-- name: grant_supplement$
INSERT INTO supplement (payment_id, entitlement_id, part, cycle_id, amount_minor, case_id, gives_back)
SELECT :payment_id, e.entitlement_id, :part, e.cycle_id, :amount_minor, :case_id, :gives_back
FROM entitlement e WHERE e.entitlement_id = :entitlement_id RETURNING payment_id;

-- name: parts_of$
SELECT greatest(1, max(part)) FROM supplement WHERE entitlement_id = :entitlement_id;

-- name: supersede_cases
-- A newer change speaks of the whole difference: what was open about it ends.
UPDATE money_case SET state = 'ended'
WHERE payment_id = ANY (:payment_ids::text[]) AND kind IN ('overpayment', 'supplement') AND state = 'open'
RETURNING case_id, kind, payment_id;

-- name: paid_in_spite
-- Of these settled payments those that a later change had made worth something else: the bank was faster.
SELECT p.payment_id, p.entitlement_id, p.beneficiary_id, p.region, p.currency, p.cancel_reason,
       p.amount_minor + p.offset_minor - d.due_minor AS difference_minor
FROM payment p
JOIN entitlement e ON e.entitlement_id = p.entitlement_id AND e.due_minor IS NOT NULL
CROSS JOIN LATERAL part_due(p.entitlement_id, p.part) AS d (due_minor)
WHERE p.instruction_id = ANY (:instruction_ids::text[]) AND p.amount_minor + p.offset_minor <> d.due_minor
  AND EXISTS (SELECT 1 FROM entitlement_change c WHERE c.entitlement_id = p.entitlement_id AND c.retroactive)
ORDER BY p.payment_id;

-- name: end_failed_cases!
UPDATE money_case SET state = :state, proposal_id = :proposal_id
WHERE payment_id = ANY (:payment_ids::text[]) AND kind = 'failed-payment' AND state = 'open';

-- name: reissued_of_cycle$
SELECT count(*) FROM payment WHERE cycle_id = :cycle_id AND attempt > 1;
