-- name: take_unclaimed!
INSERT INTO unclaimed_report (instruction_id, bank, standing, since, statement_id)
SELECT g.instruction_id, :bank, g.standing, g.since, :statement_id
FROM unnest(:instruction_ids::text[], :standings::text[], :since::date[]) AS g (instruction_id, standing, since)
ON CONFLICT (instruction_id) DO UPDATE
SET standing = excluded.standing, since = excluded.since, statement_id = excluded.statement_id, reported_at = now()
WHERE unclaimed_report.bank = excluded.bank;

-- name: unclaimed
-- Settled money nobody has taken, by bank, age and what became of calling it back.
SELECT u.bank, CASE WHEN age.days < 31 THEN '0-30' WHEN age.days < 61 THEN '31-60' WHEN age.days < 91 THEN '61-90'
            ELSE 'over-90' END AS days, u.standing, coalesce(c.state, 'not-asked') AS recall, count(*) AS count,
       sum(u.amount_minor)::bigint AS amount_minor, u.currency
FROM unclaimed_payment u
LEFT JOIN recall c USING (instruction_id)
CROSS JOIN LATERAL (SELECT current_date - u.since AS days) age
GROUP BY 1, 2, 3, 4, 7 ORDER BY 1, 2, 3, 4, 7;

-- name: given_back
-- What banks have given back, and its way to the treasury.
SELECT c.bank, p.state, count(*) AS count, sum(p.amount_minor)::bigint AS amount_minor, p.currency
FROM recall c JOIN payment p USING (instruction_id) WHERE c.state = 'given-back' GROUP BY 1, 2, 5 ORDER BY 1, 2, 5;

-- name: recallable
-- Unclaimed payments of a cycle that a bank has not been asked for, locked.
SELECT p.instruction_id, p.payment_id, p.bank, p.amount_minor, p.currency
FROM payment p
WHERE p.state = 'settled' AND p.instruction_id IN (
    SELECT u.instruction_id FROM unclaimed_payment u
    WHERE u.cycle_id = :cycle_id AND current_date - u.since >= :older_than_days::int)
  AND NOT EXISTS (SELECT 1 FROM recall c WHERE c.instruction_id = p.instruction_id)
ORDER BY p.instruction_id LIMIT :most FOR UPDATE;

-- name: ask_back
INSERT INTO recall (instruction_id, bank, reason, proposal_id, ask_again_at)
SELECT g.instruction_id, g.bank, :reason, :proposal_id, now() + make_interval(secs => :wait_s::float8)
FROM unnest(:instruction_ids::text[], :banks::text[]) AS g (instruction_id, bank)
ON CONFLICT (instruction_id) DO UPDATE
SET state = 'asked', number = recall.number + 1, reason = excluded.reason, proposal_id = excluded.proposal_id,
    refusal = NULL, asked_at = now(), ask_again_at = excluded.ask_again_at, ended_at = NULL
WHERE recall.state = 'refused'
RETURNING instruction_id, number;

-- name: overdue_recalls
WITH due AS (
    -- While it is disputed, nobody knows whether there is anything to give back.
    SELECT c.instruction_id FROM recall c JOIN payment p USING (instruction_id)
    WHERE c.state = 'asked' AND c.ask_again_at <= now() AND p.state = 'settled'
    ORDER BY c.ask_again_at LIMIT :most FOR UPDATE OF c SKIP LOCKED
)
UPDATE recall c SET number = c.number + 1, ask_again_at = now() + make_interval(secs => :wait_s::float8)
FROM due JOIN payment p USING (instruction_id) WHERE c.instruction_id = due.instruction_id
RETURNING c.instruction_id, c.number, p.payment_id, p.bank, p.amount_minor, p.currency, c.reason;

-- name: end_recalls!
UPDATE recall c SET state = g.state, refusal = g.refusal, ended_at = now()
FROM unnest(:instruction_ids::text[], :states::text[], :refusals::text[]) AS g (instruction_id, state, refusal)
WHERE c.instruction_id = g.instruction_id;

-- name: recalls_given_back
SELECT p.*, c.proposal_id, c.reason AS recall_reason
FROM recall c JOIN payment p USING (instruction_id)
WHERE c.instruction_id = ANY (:instruction_ids::text[]) AND c.state = 'asked'
ORDER BY c.instruction_id FOR UPDATE;

-- name: recalls_page
SELECT c.instruction_id, c.bank, c.state, c.number, c.reason, c.proposal_id, c.refusal, c.asked_at, c.ended_at,
       p.payment_id, p.cycle_id, p.region, p.amount_minor, p.currency, p.state AS payment_state,
       extract(epoch FROM coalesce(c.ended_at, now()) - c.asked_at)::bigint AS age_s
FROM recall c JOIN payment p USING (instruction_id)
WHERE c.instruction_id > :after AND (:state::text IS NULL OR c.state = :state) ORDER BY c.instruction_id LIMIT :most;
