-- name: backlog
-- What waits, for whom, and how long the oldest has waited.
SELECT state AS what, bank, count(*) AS count, max(extract(epoch FROM now() - changed_at))::bigint AS age_s
FROM payment WHERE state IN ('instructed', 'unknown') GROUP BY state, bank
UNION ALL
SELECT 'suspense', bank, count(*), max(extract(epoch FROM now() - raised_at))::bigint FROM suspense
WHERE ended_at IS NULL GROUP BY bank
UNION ALL
SELECT 'break', bank, count(*), max(extract(epoch FROM now() - raised_at))::bigint
FROM recon_break WHERE state = 'open' GROUP BY bank
UNION ALL
SELECT 'account-check', bank, count(*), max(extract(epoch FROM now() - coalesce(asked_at, ask_at)))::bigint
FROM account_check WHERE result IS NULL GROUP BY bank
UNION ALL
SELECT 'recall', bank, count(*), max(extract(epoch FROM now() - asked_at))::bigint
FROM recall WHERE state = 'asked' GROUP BY bank
UNION ALL
SELECT 'list-' || state, '', count(*), max(extract(epoch FROM now() - built_at))::bigint
FROM payment_list WHERE state IN ('locked', 'submitted') GROUP BY state
UNION ALL
SELECT 'failed', bank, count(*), max(extract(epoch FROM now() - changed_at))::bigint
FROM payment p WHERE state IN ('rejected', 'returned')
  AND NOT EXISTS (SELECT 1 FROM payment y WHERE y.payment_id = p.payment_id AND y.attempt > p.attempt) GROUP BY bank
UNION ALL
SELECT 'day-close', '', 1, extract(epoch FROM now() - max(day) - interval '1 day')::bigint
FROM day_close HAVING max(day) < current_date - 1
UNION ALL
SELECT 'proposal', '', count(*), max(extract(epoch FROM now() - proposed_at))::bigint
FROM proposal WHERE state = 'open' HAVING count(*) > 0
UNION ALL
SELECT 'money-case', '', count(*), max(extract(epoch FROM now() - opened_at))::bigint
FROM money_case WHERE state = 'open' HAVING count(*) > 0
UNION ALL
SELECT 'claim', '', count(*), max(extract(epoch FROM now() - opened_at))::bigint
FROM claim WHERE open_minor > 0 HAVING count(*) > 0
ORDER BY 1, 2;

-- name: ask_recipients$
-- A share of a cycle's settled payments by a hash of their ids: the same ones whoever asks, favouring nobody.
WITH asked AS (
    INSERT INTO confirmation (payment_id, instruction_id, cycle_id)
    SELECT payment_id, instruction_id, cycle_id FROM payment
    WHERE cycle_id = :cycle_id AND state = 'settled'
      AND ('x' || substr(md5(payment_id), 1, 8))::bit(32)::bigint < :share_percent::bigint * 4294967296 / 100
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT count(*) FROM asked;

-- name: take_confirmations
-- The first answer of each asked payment counts; gives what was answered now with what was paid.
UPDATE confirmation c SET channel = g.channel, received_minor = g.received_minor, answered_at = now()
FROM unnest(:payment_ids::text[], :channels::text[], :received::bigint[]) AS g (payment_id, channel, received_minor),
     payment p
WHERE c.payment_id = g.payment_id AND c.answered_at IS NULL AND p.instruction_id = c.instruction_id
RETURNING c.payment_id, c.cycle_id, g.received_minor, p.amount_minor, p.entitlement_id, p.beneficiary_id, p.region, p.currency;

-- name: recent_confirmations
-- Cycles whose recipients were asked of late, the newest first.
SELECT c.cycle_id, count(*) AS asked, count(answered_at) AS answered,
       count(*) FILTER (WHERE c.received_minor = p.amount_minor) AS confirmed
FROM confirmation c JOIN payment p USING (instruction_id)
GROUP BY c.cycle_id HAVING max(c.asked_at) > now() - interval '90 days' ORDER BY max(c.asked_at) DESC LIMIT :most;

-- name: confirmation_counts^
SELECT count(*) AS asked, count(answered_at) AS answered,
       count(*) FILTER (WHERE c.received_minor = p.amount_minor) AS confirmed,
       count(*) FILTER (WHERE c.received_minor <> p.amount_minor) AS differing
FROM confirmation c JOIN payment p USING (instruction_id) WHERE c.cycle_id = :cycle_id;
