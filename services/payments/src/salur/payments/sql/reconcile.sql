-- name: insert_statement$
INSERT INTO statement (bank, statement_id, until, lines, content_hash)
VALUES (:bank, :statement_id, :until, :lines, :content_hash) ON CONFLICT DO NOTHING RETURNING statement_id;

-- name: statement_hash$
SELECT content_hash FROM statement WHERE bank = :bank AND statement_id = :statement_id;

-- name: insert_lines!
INSERT INTO statement_line (bank, statement_id, line_id, kind, instruction_id, amount_minor, currency, account)
SELECT :bank, :statement_id, g.* FROM unnest(:line_ids::text[], :kinds::text[], :instruction_ids::text[],
    :amounts::bigint[], :currencies::text[], :accounts::text[]) AS g ON CONFLICT DO NOTHING;

-- name: find_breaks
-- Three-way match of what is due, what was instructed and what the bank booked, in one statement over its lines and
-- over what settled before its end. Every kind of difference comes back once per instruction.
WITH line AS MATERIALIZED (
    SELECT l.instruction_id,
           count(*) FILTER (WHERE l.kind = 'credit') AS credits, count(*) FILTER (WHERE l.kind = 'return') AS returns,
           max(l.amount_minor) AS amount_minor, min(l.amount_minor) AS least_minor, max(l.currency) AS currency,
           max(l.account) AS account
    FROM statement_line l WHERE l.bank = :bank GROUP BY l.instruction_id
), matched AS (
    SELECT coalesce(l.instruction_id, p.instruction_id) AS instruction_id, l.credits, l.returns, l.amount_minor,
           p.cycle_id, p.state, p.amount_minor AS expected_minor,
           CASE
               WHEN p.instruction_id IS NULL THEN 'unknown-instruction'
               WHEN l.instruction_id IS NOT NULL AND p.bank <> :bank THEN 'other-bank'
               WHEN (l.amount_minor, l.least_minor, l.currency) <> (p.amount_minor, p.amount_minor, p.currency)
               THEN 'other-amount'
               WHEN l.account <> p.account_commitment THEN 'other-account'
               WHEN l.credits > 1 THEN 'credited-twice'
               WHEN p.state = 'settled' AND l.credits IS NULL AND p.changed_at < :until::timestamptz
               THEN 'missing-in-statement'
               WHEN p.state = 'settled' AND l.returns > 0 THEN 'return-not-told'
               WHEN p.state IN ('returned', 'treasury') AND p.bank_reference IS NOT NULL
                    AND coalesce(l.returns, 0) < coalesce(l.credits, 0) AND p.changed_at < :until::timestamptz
               THEN 'return-missing'
               WHEN p.state IN ('rejected', 'cancelled') AND l.credits > coalesce(l.returns, 0)
               THEN 'credited-after-refusal'
               WHEN p.state IN ('instructed', 'unknown') AND l.credits > 0 THEN 'not-answered'
           END AS kind
    FROM line l
    FULL JOIN (SELECT * FROM payment WHERE bank = :bank OR instruction_id IN (SELECT instruction_id FROM line)) p
        ON p.instruction_id = l.instruction_id
)
INSERT INTO recon_break (break_id, bank, statement_id, kind, instruction_id, cycle_id, expected_minor, found_minor)
SELECT md5(:bank || '/' || :statement_id || '/' || m.instruction_id || '/' || m.kind), :bank, :statement_id, m.kind,
       m.instruction_id, m.cycle_id, m.expected_minor, m.amount_minor
FROM matched m WHERE m.kind IS NOT NULL AND NOT EXISTS (
    -- What people have ended stays ended, unless a line that came after it speaks of the instruction.
    SELECT 1 FROM recon_break b
    WHERE b.bank = :bank AND b.instruction_id = m.instruction_id AND b.kind = m.kind AND b.proposal_id IS NOT NULL
      AND NOT EXISTS (
        SELECT 1 FROM statement_line l JOIN statement s ON s.bank = l.bank AND s.statement_id = l.statement_id
        WHERE l.bank = :bank AND l.instruction_id = m.instruction_id AND s.taken_at > b.resolved_at))
ON CONFLICT DO NOTHING
RETURNING break_id, kind, instruction_id, cycle_id, expected_minor, found_minor;

-- name: explained_breaks
-- Open breaks whose cause is gone: a later statement shows the credit, a later answer tells the rest.
UPDATE recon_break b SET state = 'resolved', resolution = 'explained-later', resolved_at = now()
FROM payment p
WHERE b.state = 'open' AND b.bank = :bank AND p.instruction_id = b.instruction_id AND CASE b.kind
    WHEN 'missing-in-statement' THEN EXISTS (
        SELECT 1 FROM statement_line l WHERE l.instruction_id = b.instruction_id AND l.bank = b.bank AND l.kind = 'credit')
    WHEN 'not-answered' THEN p.state NOT IN ('instructed', 'unknown')
    WHEN 'return-not-told' THEN p.state <> 'settled'
    WHEN 'return-missing' THEN EXISTS (
        SELECT 1 FROM statement_line l WHERE l.instruction_id = b.instruction_id AND l.bank = b.bank AND l.kind = 'return')
    ELSE false END
RETURNING b.break_id, b.kind, b.instruction_id;

-- name: end_missing
UPDATE recon_break SET state = 'resolved', resolution = 'explained-later', resolved_at = now()
WHERE state = 'open' AND kind = 'missing-in-statement' AND instruction_id = ANY (:instruction_ids::text[])
RETURNING break_id, kind, instruction_id;

-- name: break_for_update^
SELECT * FROM recon_break WHERE break_id = :break_id FOR UPDATE;

-- name: own_break!
UPDATE recon_break SET owner = :owner WHERE break_id = :break_id;

-- name: own_breaks$
WITH owned AS (
    UPDATE recon_break SET owner = :owner
    WHERE bank = :bank AND statement_id = :statement_id AND kind = :kind AND state = 'open' RETURNING 1
)
SELECT count(*) FROM owned;

-- name: open_breaks_of^
-- How many breaks of one kind a statement has left open, and what they are about.
SELECT count(*) AS breaks, coalesce(sum(expected_minor), 0)::bigint AS amount_minor FROM recon_break
WHERE bank = :bank AND statement_id = :statement_id AND kind = :kind AND state = 'open';

-- name: breaks_for_update
SELECT * FROM recon_break
WHERE bank = :bank AND statement_id = :statement_id AND kind = :kind AND state = 'open' ORDER BY break_id FOR UPDATE;

-- name: resolve_breaks!
UPDATE recon_break SET state = 'resolved', resolution = :resolution, proposal_id = :proposal_id, resolved_at = now()
WHERE break_id = ANY (:break_ids::text[]);

-- name: breaks_page
SELECT break_id, bank, statement_id, kind, instruction_id, cycle_id, expected_minor, found_minor, state, owner,
       resolution, raised_at, extract(epoch FROM now() - raised_at)::bigint AS age_s
FROM recon_break WHERE break_id > :after AND (:state::text IS NULL OR state = :state) ORDER BY break_id LIMIT :most;

-- name: control_totals^
-- What we say is settled at a bank in a cycle, what its statements say, and what is still open.
SELECT coalesce(sum(p.amount_minor) FILTER (WHERE p.state = 'settled'), 0)::bigint AS settled_minor,
       coalesce(sum(l.net_minor), 0)::bigint AS statement_minor,
       count(*) FILTER (WHERE p.state IN ('instructed', 'unknown', 'disputed')) AS open_payments,
       (SELECT count(*) FROM recon_break b WHERE b.bank = :bank AND b.state = 'open'
            AND (b.cycle_id = :cycle_id OR b.cycle_id IS NULL)) AS open_breaks,
       count(*) AS payments
FROM payment p
LEFT JOIN LATERAL (
    SELECT sum(CASE l.kind WHEN 'credit' THEN l.amount_minor ELSE -l.amount_minor END) AS net_minor
    FROM statement_line l WHERE l.instruction_id = p.instruction_id AND l.bank = p.bank
) l ON true
WHERE p.cycle_id = :cycle_id AND p.bank = :bank;

-- name: insert_sign_off!
INSERT INTO sign_off (cycle_id, bank, settled_minor, statement_minor, signed_by)
VALUES (:cycle_id, :bank, :settled_minor, :statement_minor, :signed_by);

-- name: sign_off_of^
SELECT * FROM sign_off WHERE cycle_id = :cycle_id AND bank = :bank;

-- name: cycle_standing_counts
-- Every payment of a cycle in exactly one state, by its newest item and attempt: the counts add up to the list.
WITH newest AS (
    SELECT DISTINCT ON (i.payment_id) i.payment_id, i.hold, i.amount_minor, l.state AS list_state
    FROM payment_list l JOIN list_item i ON i.list_id = l.list_id
    WHERE l.cycle_id = :cycle_id AND l.state NOT IN ('refused', 'expired')
    ORDER BY i.payment_id, l.built_at DESC
), attempt AS (
    SELECT DISTINCT ON (payment_id) payment_id, state FROM payment WHERE cycle_id = :cycle_id
    ORDER BY payment_id, attempt DESC
)
SELECT CASE WHEN a.state IN ('treasury', 'cancelled') THEN a.state WHEN n.hold = 'cancelled' THEN 'cancelled' WHEN n.hold IS NOT NULL THEN 'held'
            WHEN n.list_state IN ('locked', 'submitted', 'building') THEN n.list_state
            ELSE coalesce(a.state, 'approved') END AS state,
       count(*) AS count, sum(n.amount_minor)::bigint AS amount_minor
FROM newest n LEFT JOIN attempt a ON a.payment_id = n.payment_id
GROUP BY 1 ORDER BY 1;

-- name: beneficiary_standing
-- Why (not) paid: each entitlement of a beneficiary (and each supplement to it) in exactly one state, since when, and the payment it speaks of.
SELECT e.entitlement_id, e.part, e.cycle_id, e.programme_id, e.region, e.amount_minor, e.currency, n.payment_id, n.list_id, n.hold, a.instruction_id, a.reason, a.bank,
       CASE WHEN n.payment_id IS NULL THEN 'not-listed' WHEN a.state IN ('treasury', 'cancelled') THEN a.state WHEN n.hold = 'cancelled' THEN 'cancelled'
            WHEN n.hold IS NOT NULL THEN 'held' WHEN n.list_state <> 'approved' THEN n.list_state
            ELSE coalesce(a.state, 'approved') END AS state,
       extract(epoch FROM now() - coalesce(a.changed_at, n.built_at))::bigint AS age_s
FROM (
    SELECT entitlement_id, 1 AS part, cycle_id, programme_id, region, coalesce(due_minor, amount_minor) AS amount_minor,
           currency
    FROM entitlement WHERE beneficiary_id = :beneficiary_id
    UNION ALL
    SELECT s.entitlement_id, s.part, s.cycle_id, e.programme_id, e.region, s.amount_minor, e.currency
    FROM supplement s JOIN entitlement e USING (entitlement_id) WHERE e.beneficiary_id = :beneficiary_id
) e
LEFT JOIN LATERAL (
    SELECT i.payment_id, i.list_id, i.hold, l.state AS list_state, coalesce(l.checked_at, l.built_at) AS built_at
    FROM payment_list l JOIN list_item i ON i.list_id = l.list_id
    WHERE l.cycle_id = e.cycle_id AND i.entitlement_id = e.entitlement_id AND i.part = e.part AND l.state NOT IN ('refused', 'expired')
    ORDER BY l.built_at DESC LIMIT 1
) n ON true
LEFT JOIN LATERAL (
    SELECT instruction_id, state, reason, bank, changed_at FROM payment p
    WHERE p.payment_id = n.payment_id ORDER BY attempt DESC LIMIT 1
) a ON n.hold IS NULL OR a.state IN ('treasury', 'cancelled')
ORDER BY e.cycle_id, e.entitlement_id, e.part;

-- name: begin_change!
-- A change waits until every instruction under way is committed, and no instruction begins before it is taken: what one
-- of them has read, the other must not have moved.
SELECT pg_advisory_xact_lock(hashtext('salur.payments.instruct'));

-- name: begin_instruct!
SELECT pg_advisory_xact_lock_shared(hashtext('salur.payments.instruct'));

-- name: lock_late_lists!
-- The lists of these payments, so that nobody decides on them meanwhile.
SELECT list_id FROM payment_list WHERE state NOT IN ('refused', 'expired')
    AND list_id IN (SELECT list_id FROM list_item WHERE payment_id = ANY (:payment_ids::text[]))
ORDER BY list_id FOR UPDATE;

-- name: lock_late_attempts!
-- The attempts of these payments: a bank's answer comes before the change or after it.
SELECT instruction_id FROM payment WHERE payment_id = ANY (:payment_ids::text[]) ORDER BY instruction_id FOR UPDATE;

-- name: late_items
-- The newest item of each payment with its list, and the state of its newest attempt; none when this item is the next
-- attempt, which no bank has been told. Lists and attempts must be locked by statements before this one.
SELECT i.*, l.state AS list_state, l.cycle_id, l.programme_id, l.last_rank, l.instructed_rank,
       (SELECT coalesce(sum(s.amount_minor), 0) FROM supplement s WHERE s.entitlement_id = i.entitlement_id
            AND NOT s.gives_back)::bigint AS supplements_minor,
       (SELECT coalesce(sum(c.amount_minor - c.returned_minor - c.surplus_minor), 0) FROM claim c
            WHERE c.payment_id = i.payment_id)::bigint AS claimed_minor,
       a.instruction_id AS attempt_id, a.fund_id AS attempt_fund,
       CASE WHEN i.hold IS NOT NULL OR i.attempt = a.attempt THEN a.state END AS attempt_state
FROM unnest(:payment_ids::text[]) AS g (payment_id)
CROSS JOIN LATERAL (
    SELECT i.* FROM list_item i JOIN payment_list l ON l.list_id = i.list_id
    WHERE i.payment_id = g.payment_id AND l.state NOT IN ('refused', 'expired') ORDER BY l.built_at DESC LIMIT 1
) i
JOIN payment_list l ON l.list_id = i.list_id
LEFT JOIN LATERAL (
    SELECT instruction_id, attempt, state, fund_id FROM payment p WHERE p.payment_id = g.payment_id
    ORDER BY attempt DESC LIMIT 1
) a ON true
ORDER BY l.list_id, i.rank;

-- name: take_changes
-- New changes of entitlements; the newest of a batch counts.
WITH given AS (
    SELECT * FROM unnest(:change_ids::text[], :entitlement_ids::text[], :dues::bigint[], :reasons::text[],
                         :retroactive::bool[], :payee_ids::text[])
        WITH ORDINALITY AS g (change_id, entitlement_id, due_minor, reason, retroactive, payee_id, ord)
), added AS (
    INSERT INTO entitlement_change (change_id, entitlement_id, due_minor, reason, retroactive)
    SELECT change_id, entitlement_id, due_minor, reason, retroactive FROM given ON CONFLICT DO NOTHING
    RETURNING change_id
), newest AS (
    SELECT DISTINCT ON (entitlement_id) entitlement_id, due_minor, reason, retroactive, payee_id
    FROM given WHERE change_id IN (SELECT change_id FROM added) ORDER BY entitlement_id, ord DESC
)
UPDATE entitlement e SET due_minor = n.due_minor, amended_payee_id = coalesce(n.payee_id, e.amended_payee_id)
FROM newest n WHERE e.entitlement_id = n.entitlement_id
RETURNING e.entitlement_id, e.beneficiary_id, e.region, e.currency, n.due_minor, n.reason, n.retroactive;

-- name: ask_to_cancel!
-- The next inquiry goes out at once; a bank that has not executed it closes the id by its answer. What people decided
-- about it outlives any later news of it, unless people decide again.
UPDATE payment SET answer_due_at = now(), cancel_reason = CASE
    WHEN payment.cancel_reason IN ('list-stopped', 'payment-withdrawn') AND g.reason <> 're-routed'
    THEN payment.cancel_reason ELSE g.reason END
FROM unnest(:instruction_ids::text[], :reasons::text[]) AS g (instruction_id, reason)
WHERE payment.instruction_id = g.instruction_id AND state IN ('instructed', 'unknown');

-- name: in_flight_of
SELECT instruction_id, state FROM payment
WHERE state IN ('instructed', 'unknown') AND payee_id = ANY (:payee_ids::text[]);

-- name: insert_cases
INSERT INTO money_case (case_id, kind, payment_id, entitlement_id, beneficiary_id, region, amount_minor, currency, reason)
SELECT * FROM unnest(:case_ids::text[], :kinds::text[], :payment_ids::text[], :entitlement_ids::text[],
                     :beneficiary_ids::text[], :regions::text[], :amounts::bigint[], :currencies::text[], :reasons::text[])
ON CONFLICT DO NOTHING RETURNING case_id;

-- name: case_for_update^
SELECT * FROM money_case WHERE case_id = :case_id FOR UPDATE;

-- name: close_case!
UPDATE money_case SET state = :state, proposal_id = :proposal_id WHERE case_id = :case_id;

-- name: cases_page
SELECT case_id, kind, payment_id, entitlement_id, beneficiary_id, region, amount_minor, currency, reason, state,
       opened_at, extract(epoch FROM now() - opened_at)::bigint AS age_s
FROM money_case WHERE case_id > :after AND (:state::text IS NULL OR state = :state) ORDER BY case_id LIMIT :most;

-- name: lock_cycle_of$
SELECT cycle_id FROM cycle WHERE cycle_id = (SELECT p.cycle_id FROM payment p WHERE p.payment_id = :payment_id LIMIT 1)
FOR UPDATE;

-- name: next_attempt_listed$
-- The list that is going to pay a later attempt of a payment: undecided, or approved and no bank told yet.
SELECT l.list_id FROM list_item i JOIN payment_list l USING (list_id)
WHERE i.payment_id = :payment_id AND i.attempt > :attempt AND i.hold IS NULL AND i.rank IS NOT NULL AND (
    l.state IN ('building', 'locked', 'submitted')
    OR l.state = 'approved' AND i.rank > l.instructed_rank AND i.rank <= l.last_rank)
LIMIT 1;

-- name: newest_attempt_for_update^
SELECT * FROM payment WHERE payment_id = :payment_id ORDER BY attempt DESC LIMIT 1 FOR UPDATE;

-- name: open_in_cycle$
SELECT (SELECT count(*) FROM payment_list WHERE cycle_id = :cycle_id AND (
            state IN ('building', 'locked', 'submitted') OR state = 'approved' AND instructed_rank < last_rank))
     + (SELECT count(*) FROM payment WHERE cycle_id = :cycle_id AND state IN ('instructed', 'unknown', 'disputed'));

-- name: failed_of_cycle
-- The newest attempts of a cycle that failed.
SELECT p.* FROM payment p
WHERE p.cycle_id = :cycle_id AND p.state IN ('rejected', 'returned')
  AND NOT EXISTS (SELECT 1 FROM payment y WHERE y.payment_id = p.payment_id AND y.attempt > p.attempt)
ORDER BY p.instruction_id FOR UPDATE;
