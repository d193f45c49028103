-- Reserves may expire: a resolution of its own, written when the time is over. Until that row stands, a post wins: the
-- order of rows decides, never a clock that is read twice.
ALTER TABLE transfer ADD COLUMN expires_at timestamptz;
ALTER TABLE transfer DROP CONSTRAINT transfer_kind_check;
ALTER TABLE transfer DROP CONSTRAINT transfer_check1;
ALTER TABLE transfer ADD CONSTRAINT transfer_kind_known
    CHECK (kind IN ('transfer', 'reserve', 'post', 'void', 'expire'));
ALTER TABLE transfer ADD CONSTRAINT transfer_resolves_one CHECK ((kind IN ('post', 'void', 'expire')) = (pending_id IS NOT NULL));
ALTER TABLE transfer ADD CONSTRAINT transfer_reserve_expires CHECK (expires_at IS NULL OR kind = 'reserve');

-- Statements read an account's movements up to a moment; blocks of rows are in order of time.
CREATE INDEX transfer_recorded ON transfer USING brin (recorded_at);

DROP FUNCTION ledger_apply(text[], text[], text[], text[], text[], bigint[], text[]);

-- Apply a batch in one statement. One result per row, in order:
--   created | exists | exists-with-different-input | repeated-in-batch | insufficient | already-posted |
--   already-voided | expired | not-expired-yet | pending-not-found | account-unknown | currency-differs | amount-invalid
-- Only `created` changes anything. Money that arrives or is freed in the batch can be spent only by the next batch, and
-- the first debit an account cannot bear cuts all later debits of that account: a list is funded as a prefix.
-- Each row is looked up by its keys, whatever the statistics say: a join of another kind would read the whole ledger for
-- every batch. Hence LATERAL with LIMIT, and no sequential scans.
CREATE FUNCTION ledger_apply(
    ids text[], kinds text[], pendings text[], debits text[], credits text[], amounts bigint[], currencies text[],
    expiries timestamptz[]
) RETURNS TABLE (row_number bigint, result text) LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
AS $$
BEGIN
    -- Accounts are locked in one fixed order, so two batches never wait for each other in a circle.
    PERFORM 1 FROM account a
    WHERE a.id IN (
        SELECT unnest(debits) UNION SELECT unnest(credits)
        UNION SELECT unnest(ARRAY[t.debit, t.credit]) FROM transfer t WHERE t.id = ANY (pendings)
    )
    ORDER BY a.id FOR UPDATE;

    RETURN QUERY
    WITH given AS (
        SELECT g.*,
               count(*) OVER (PARTITION BY g.id ORDER BY g.ord ROWS UNBOUNDED PRECEDING) > 1
               OR (g.pending_id IS NOT NULL AND count(*) OVER
                   (PARTITION BY g.pending_id ORDER BY g.ord ROWS UNBOUNDED PRECEDING) > 1) AS repeated
        FROM unnest(ids, kinds, pendings, debits, credits, amounts, currencies, expiries)
             WITH ORDINALITY AS g (id, kind, pending_id, debit, credit, amount_minor, currency, expires_at, ord)
    ), known AS (
        SELECT g.ord, g.id, g.kind, g.pending_id, g.repeated, g.expires_at,
               coalesce(p.debit, g.debit) AS debit, coalesce(p.credit, g.credit) AS credit,
               coalesce(p.amount_minor, g.amount_minor) AS amount_minor, coalesce(p.currency, g.currency) AS currency,
               p.id IS NOT NULL AS pending_known, p.expires_at AS pending_expires_at, r.kind AS resolved_as,
               x.id IS NOT NULL AS present,
               (x.kind, x.pending_id, x.debit, x.credit, x.amount_minor, x.currency, x.expires_at) IS NOT DISTINCT FROM
               (g.kind, g.pending_id, coalesce(p.debit, g.debit), coalesce(p.credit, g.credit),
                coalesce(p.amount_minor, g.amount_minor), coalesce(p.currency, g.currency), g.expires_at) AS same
        FROM given g
        LEFT JOIN LATERAL (
            SELECT * FROM transfer t WHERE t.id = g.pending_id AND t.kind = 'reserve' LIMIT 1) p ON true
        LEFT JOIN LATERAL (SELECT * FROM transfer t WHERE t.pending_id = g.pending_id LIMIT 1) r ON true
        LEFT JOIN LATERAL (SELECT * FROM transfer t WHERE t.id = g.id LIMIT 1) x ON true
    ), checked AS (
        SELECT k.*,
               CASE
                   WHEN k.repeated THEN 'repeated-in-batch'
                   WHEN k.present AND k.same THEN 'exists'
                   WHEN k.present THEN 'exists-with-different-input'
                   WHEN k.kind IN ('post', 'void', 'expire') AND NOT k.pending_known THEN 'pending-not-found'
                   WHEN k.resolved_as = 'post' THEN 'already-posted'
                   WHEN k.resolved_as = 'void' THEN 'already-voided'
                   WHEN k.resolved_as = 'expire' THEN 'expired'
                   WHEN k.kind = 'expire' AND (k.pending_expires_at IS NULL OR k.pending_expires_at > now())
                   THEN 'not-expired-yet'
                   WHEN d.id IS NULL OR c.id IS NULL THEN 'account-unknown'
                   WHEN d.currency <> k.currency OR c.currency <> k.currency THEN 'currency-differs'
                   WHEN k.amount_minor <= 0 OR d.id = c.id THEN 'amount-invalid'
                   ELSE 'created'
               END AS verdict,
               d.floored, d.posted_minor - d.reserved_minor AS available_minor
        FROM known k
        LEFT JOIN account d ON d.id = k.debit
        LEFT JOIN account c ON c.id = k.credit
    ), judged AS (
        SELECT s.*,
               CASE
                   WHEN s.verdict = 'created' AND s.kind IN ('transfer', 'reserve') AND s.floored
                        AND sum(s.amount_minor) FILTER (WHERE s.verdict = 'created' AND s.kind IN ('transfer', 'reserve'))
                            OVER (PARTITION BY s.debit ORDER BY s.ord ROWS UNBOUNDED PRECEDING) > s.available_minor
                   THEN 'insufficient'
                   ELSE s.verdict
               END AS outcome
        FROM checked s
    ), created AS (
        SELECT * FROM judged WHERE outcome = 'created'
    ), new_transfers AS (
        INSERT INTO transfer (id, kind, pending_id, debit, credit, amount_minor, currency, expires_at)
        SELECT n.id, n.kind, n.pending_id, n.debit, n.credit, n.amount_minor, n.currency, n.expires_at FROM created n
    ), new_entries AS (
        INSERT INTO entry (transfer_id, account, amount_minor, currency)
        SELECT n.id, side.account, side.amount_minor, n.currency
        FROM created n
        CROSS JOIN LATERAL (VALUES (n.debit, -n.amount_minor), (n.credit, n.amount_minor)) AS side (account, amount_minor)
        WHERE n.kind IN ('transfer', 'post')
    ), deltas AS (
        SELECT side.account, sum(side.posted)::bigint AS posted, sum(side.reserved)::bigint AS reserved
        FROM created n
        CROSS JOIN LATERAL (VALUES
            (n.debit,
             CASE WHEN n.kind IN ('transfer', 'post') THEN -n.amount_minor ELSE 0 END,
             CASE n.kind WHEN 'reserve' THEN n.amount_minor WHEN 'transfer' THEN 0 ELSE -n.amount_minor END),
            (n.credit, CASE WHEN n.kind IN ('transfer', 'post') THEN n.amount_minor ELSE 0 END, 0)
        ) AS side (account, posted, reserved)
        GROUP BY side.account
    ), moved AS (
        UPDATE account a
        SET posted_minor = a.posted_minor + m.posted, reserved_minor = a.reserved_minor + m.reserved
        FROM deltas m WHERE a.id = m.account
    )
    SELECT j.ord, j.outcome FROM judged j ORDER BY j.ord;
END $$;
