-- name: insert_fund$
INSERT INTO fund (fund_id, name, currency, budget_minor, opened_by, region, programme_id)
VALUES (:fund_id, :name, :currency, :budget_minor, :opened_by, :region, :programme_id)
ON CONFLICT DO NOTHING RETURNING fund_id;

-- name: fund_by_id^
SELECT fund_id, name, currency, budget_minor, region, programme_id, state, opened_at
FROM fund WHERE fund_id = :fund_id;

-- name: fund_for_update^
SELECT * FROM fund WHERE fund_id = :fund_id FOR UPDATE;

-- name: funds_page
SELECT fund_id, name, currency, budget_minor, region, programme_id, state, opened_at
FROM fund WHERE fund_id > :after ORDER BY fund_id LIMIT :most;

-- name: fund_states
SELECT state, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM payment WHERE fund_id = :fund_id GROUP BY state;

-- name: raise_budget$
UPDATE fund SET budget_minor = budget_minor + :amount_minor WHERE fund_id = :fund_id RETURNING budget_minor;

-- name: close_fund!
UPDATE fund SET state = 'closed' WHERE fund_id = :fund_id;

-- name: open_lists_of_fund
SELECT l.list_id, l.state FROM list_fund f JOIN payment_list l USING (list_id)
WHERE f.fund_id = :fund_id AND l.state IN ('locked', 'submitted');

-- name: insert_proposal$
INSERT INTO proposal (proposal_id, kind, subject, content, reason, proposed_by)
VALUES (:proposal_id, :kind, :subject, :content, :reason, :proposed_by)
ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING RETURNING proposal_id;

-- name: proposal_for_update^
SELECT * FROM proposal WHERE proposal_id = :proposal_id FOR UPDATE;

-- name: decide_proposal!
UPDATE proposal SET state = :state, decided_by = :decided_by, decided_at = now() WHERE proposal_id = :proposal_id;

-- name: proposals_page
SELECT proposal_id, kind, subject, content, reason, state, proposed_by, proposed_at, decided_by, decided_at
FROM proposal WHERE proposal_id > :after AND (:state::text IS NULL OR state = :state)
ORDER BY proposal_id LIMIT :most;
