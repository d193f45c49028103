
-- name: begin_list$
INSERT INTO payment_list (list_id, cycle_id, fund_id, programme_id, currency, state, built_by)
VALUES (:list_id, :cycle_id, :fund_id, :programme_id, :currency, 'building', :built_by)
ON CONFLICT (cycle_id) WHERE kind = 'regular' AND state NOT IN ('refused', 'expired') DO NOTHING RETURNING list_id;

-- name: list_of_cycle$
SELECT list_id FROM payment_list WHERE cycle_id = :cycle_id AND kind = 'regular' AND state NOT IN ('refused', 'expired');

-- name: begin_follow_up!
INSERT INTO payment_list (list_id, cycle_id, fund_id, programme_id, currency, state, built_by, kind)
VALUES (:list_id, :cycle_id, :fund_id, :programme_id, :currency, 'building', :built_by, 'follow-up');

-- name: lock_list!
UPDATE payment_list
SET state = 'locked', items = :items, amount_minor = :amount_minor, content_hash = :content_hash
WHERE list_id = :list_id AND state = 'building';

-- name: list_for_update^
SELECT * FROM payment_list WHERE list_id = :list_id FOR UPDATE;

-- name: list_by_id^
SELECT * FROM payment_list WHERE list_id = :list_id;

-- name: lists
SELECT list_id, cycle_id, kind, fund_id, programme_id, state, items, amount_minor, currency, content_hash, built_at
FROM payment_list WHERE list_id > :after ORDER BY list_id LIMIT :most;

-- name: insert_list_funds!
INSERT INTO list_fund (list_id, fund_id, position, share, items, amount_minor)
SELECT :list_id, g.fund_id, g.ord, g.share, g.items, g.amount_minor
FROM unnest(:fund_ids::text[], :shares::int[], :items::int[], :amounts::bigint[])
    WITH ORDINALITY AS g (fund_id, share, items, amount_minor, ord);

-- name: list_funds
SELECT f.fund_id, f.share, f.items, f.amount_minor, f.funded_items, f.funded_minor, fund.state, fund.region
FROM list_fund f JOIN fund USING (fund_id) WHERE f.list_id = :list_id ORDER BY f.position;

-- name: reserve_items
-- Reserves the funds of one page of ranks in one statement. Funds that ran out on an earlier page are left out.
WITH page AS (
    SELECT array_agg('reserve/' || list_id || '/' || payment_id ORDER BY rank) AS ids,
           array_agg('reserve'::text) AS kinds, array_agg(NULL::text) AS pendings,
           array_agg('fund:' || fund_id ORDER BY rank) AS debits,
           array_agg('clearing:' || bank || ':' || currency ORDER BY rank) AS credits,
           array_agg(amount_minor ORDER BY rank) AS amounts, array_agg(currency ORDER BY rank) AS currencies,
           array_agg(:expires_at::timestamptz) AS expiries,
           array_agg(rank ORDER BY rank) AS ranks, array_agg(fund_id ORDER BY rank) AS funds
    FROM list_item
    WHERE list_id = :list_id AND rank BETWEEN :first AND :last AND hold IS NULL AND fund_id <> ALL (:exhausted::text[])
), result AS (
    SELECT page.funds[r.row_number] AS fund_id, page.ranks[r.row_number] AS rank, r.result,
           page.amounts[r.row_number] AS amount_minor
    FROM page, ledger_apply(page.ids, page.kinds, page.pendings, page.debits, page.credits, page.amounts,
                            page.currencies, page.expiries) r
    WHERE page.ids IS NOT NULL
)
SELECT fund_id, result, count(*) AS items, sum(amount_minor)::bigint AS amount_minor, min(rank) AS first_rank,
       max(rank) AS last_rank
FROM result GROUP BY fund_id, result;

-- name: fund_list!
UPDATE list_fund f SET funded_items = g.items, funded_minor = g.amount_minor
FROM unnest(:fund_ids::text[], :items::int[], :amounts::bigint[]) AS g (fund_id, items, amount_minor)
WHERE f.list_id = :list_id AND f.fund_id = g.fund_id;

-- name: hold_unfunded
UPDATE list_item i SET hold = 'no-funds'
FROM unnest(:fund_ids::text[], :cuts::int[]) AS g (fund_id, cut)
WHERE i.list_id = :list_id AND i.fund_id = g.fund_id AND i.rank >= g.cut AND i.hold IS NULL
RETURNING i.payment_id, i.entitlement_id, i.beneficiary_id, i.amount_minor, i.currency;

-- name: hold_items!
UPDATE list_item i SET hold = g.hold FROM unnest(:payment_ids::text[], :holds::text[]) AS g (payment_id, hold)
WHERE i.list_id = :list_id AND i.payment_id = g.payment_id;

-- name: submit_list!
UPDATE payment_list
SET state = 'submitted', submitted_by = :actor, funded_items = :funded_items, funded_minor = :funded_minor,
    last_rank = :last_rank, approve_until = :approve_until
WHERE list_id = :list_id;

-- name: check_list!
UPDATE payment_list
SET state = :state, checked_by = :actor, check_cause = :cause, refusal = :refusal, checked_at = now()
WHERE list_id = :list_id;

-- name: banks_of_list
SELECT DISTINCT bank FROM list_item WHERE list_id = :list_id AND rank IS NOT NULL;

-- name: items_of_ranks
SELECT payment_id FROM list_item
WHERE list_id = :list_id AND rank BETWEEN :first AND :last AND hold IS NULL ORDER BY rank;

-- name: list_to_expire^
SELECT * FROM payment_list WHERE state = 'submitted' AND approve_until <= now()
ORDER BY approve_until LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: expire_list!
UPDATE payment_list SET state = 'expired' WHERE list_id = :list_id;

-- name: list_holds
SELECT hold, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM list_item WHERE list_id = :list_id AND hold IS NOT NULL GROUP BY hold ORDER BY hold;

-- name: list_states
SELECT state, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM payment WHERE list_id = :list_id GROUP BY state ORDER BY state;

-- name: list_to_instruct^
SELECT * FROM payment_list WHERE state = 'approved' AND instructed_rank < last_rank
ORDER BY checked_at, list_id LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: items_to_instruct
SELECT i.*, p.sealed, latest.version AS latest_version
FROM list_item i
JOIN payee p ON p.beneficiary_id = i.payee_id AND p.version = i.payee_version
CROSS JOIN LATERAL (
    SELECT version FROM payee WHERE payee.beneficiary_id = i.payee_id ORDER BY version DESC LIMIT 1
) latest
WHERE i.list_id = :list_id AND i.rank BETWEEN :first AND :last AND i.hold IS NULL
ORDER BY i.rank;

-- name: advance_list!
UPDATE payment_list SET instructed_rank = :rank WHERE list_id = :list_id;

-- name: waiting_items^
SELECT count(*) AS count, coalesce(sum(amount_minor), 0)::bigint AS amount_minor FROM list_item
WHERE list_id = :list_id AND rank > :after AND rank <= :last AND hold IS NULL;

-- name: stop_items
UPDATE list_item SET hold = 'cancelled' WHERE list_id = :list_id AND rank > :after AND hold IS NULL
RETURNING payment_id, entitlement_id, beneficiary_id, amount_minor, currency;

-- name: cut_list!
UPDATE payment_list SET last_rank = instructed_rank, funded_items = least(funded_items, instructed_rank)
WHERE list_id = :list_id;

-- name: in_flight_of_list
SELECT instruction_id FROM payment WHERE list_id = :list_id AND state IN ('instructed', 'unknown')
ORDER BY instruction_id;
