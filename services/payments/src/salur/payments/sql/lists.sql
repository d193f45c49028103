-- name: insert_fund$
INSERT INTO fund (fund_id, name, currency, budget_minor, opened_by)
VALUES (:fund_id, :name, :currency, :budget_minor, :opened_by)
ON CONFLICT DO NOTHING RETURNING fund_id;

-- name: fund_by_id^
SELECT fund_id, name, currency, budget_minor, opened_at FROM fund WHERE fund_id = :fund_id;

-- name: fund_states
SELECT state, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM payment WHERE list_id IN (SELECT list_id FROM payment_list WHERE fund_id = :fund_id) GROUP BY state;

-- name: begin_list$
INSERT INTO payment_list (list_id, cycle_id, fund_id, programme_id, currency, state, built_by)
VALUES (:list_id, :cycle_id, :fund_id, :programme_id, :currency, 'building', :built_by)
ON CONFLICT (cycle_id) WHERE state <> 'refused' DO NOTHING RETURNING list_id;

-- name: list_of_cycle$
SELECT list_id FROM payment_list WHERE cycle_id = :cycle_id AND state <> 'refused';

-- name: lock_list!
UPDATE payment_list
SET state = 'locked', items = :items, amount_minor = :amount_minor, content_hash = :content_hash
WHERE list_id = :list_id AND state = 'building';

-- name: list_for_update^
SELECT * FROM payment_list WHERE list_id = :list_id FOR UPDATE;

-- name: list_by_id^
SELECT * FROM payment_list WHERE list_id = :list_id;

-- name: lists
SELECT list_id, cycle_id, fund_id, programme_id, state, items, amount_minor, currency, content_hash, built_at
FROM payment_list WHERE list_id > :after ORDER BY list_id LIMIT :most;

-- name: reserve_items
-- Reserves the funds of one page of ranks in one statement; gives the ranks that did not fit or were refused.
WITH page AS (
    SELECT array_agg('reserve/' || list_id || '/' || payment_id ORDER BY rank) AS ids,
           array_agg('reserve'::text) AS kinds, array_agg(NULL::text) AS pendings,
           array_agg(:debit::text) AS debits,
           array_agg('clearing:' || bank || ':' || currency ORDER BY rank) AS credits,
           array_agg(amount_minor ORDER BY rank) AS amounts, array_agg(currency ORDER BY rank) AS currencies,
           array_agg(rank ORDER BY rank) AS ranks
    FROM list_item WHERE list_id = :list_id AND rank BETWEEN :first AND :last
)
SELECT page.ranks[r.row_number] AS rank, r.result, page.amounts[r.row_number] AS amount_minor
FROM page, ledger_apply(page.ids, page.kinds, page.pendings, page.debits, page.credits, page.amounts, page.currencies) r
WHERE page.ids IS NOT NULL
ORDER BY r.row_number;

-- name: hold_unfunded
UPDATE list_item SET hold = 'no-funds' WHERE list_id = :list_id AND rank > :funded
RETURNING payment_id, entitlement_id, beneficiary_id, amount_minor, currency;

-- name: hold_items!
UPDATE list_item i SET hold = g.hold FROM unnest(:payment_ids::text[], :holds::text[]) AS g (payment_id, hold)
WHERE i.list_id = :list_id AND i.payment_id = g.payment_id;

-- name: submit_list!
UPDATE payment_list
SET state = 'submitted', submitted_by = :actor, funded_items = :funded_items, funded_minor = :funded_minor
WHERE list_id = :list_id;

-- name: check_list!
UPDATE payment_list
SET state = :state, checked_by = :actor, check_cause = :cause, refusal = :refusal, checked_at = now()
WHERE list_id = :list_id;

-- name: banks_of_list
SELECT DISTINCT bank FROM list_item WHERE list_id = :list_id AND rank IS NOT NULL;

-- name: items_of_ranks
SELECT payment_id FROM list_item WHERE list_id = :list_id AND rank BETWEEN :first AND :last ORDER BY rank;

-- name: list_holds
SELECT hold, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM list_item WHERE list_id = :list_id AND hold IS NOT NULL GROUP BY hold ORDER BY hold;

-- name: list_states
SELECT state, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM payment WHERE list_id = :list_id GROUP BY state ORDER BY state;

-- name: list_to_instruct^
SELECT * FROM payment_list WHERE state = 'approved' AND instructed_rank < funded_items
ORDER BY checked_at, list_id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: items_to_instruct
SELECT i.*, p.sealed, latest.version AS latest_version
FROM list_item i
JOIN payee p ON p.beneficiary_id = i.beneficiary_id AND p.version = i.payee_version
CROSS JOIN LATERAL (
    SELECT version FROM payee WHERE payee.beneficiary_id = i.beneficiary_id ORDER BY version DESC LIMIT 1
) latest
WHERE i.list_id = :list_id AND i.rank BETWEEN :first AND :last
ORDER BY i.rank;

-- name: advance_list!
UPDATE payment_list SET instructed_rank = :rank WHERE list_id = :list_id;

-- name: waiting_minor$
SELECT coalesce(sum(amount_minor), 0)::bigint FROM list_item
WHERE list_id = :list_id AND rank BETWEEN :first AND :last;
