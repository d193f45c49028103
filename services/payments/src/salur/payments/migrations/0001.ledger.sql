-- The ledger: double entry, two-phase, append-only. Amounts are minor units of the account's currency.

-- `floored`: posted − reserved never goes below zero. Only treasuries (where budgets come from) and clearing
-- accounts (passed through within one posting) are not floored.
CREATE TABLE account (
    id             text PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('treasury', 'fund', 'clearing', 'beneficiaries')),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    floored        boolean NOT NULL,
    posted_minor   bigint NOT NULL DEFAULT 0,
    reserved_minor bigint NOT NULL DEFAULT 0 CHECK (reserved_minor >= 0),
    CONSTRAINT account_never_below_zero CHECK (NOT floored OR posted_minor - reserved_minor >= 0)
);

CREATE TRIGGER account_kept BEFORE DELETE OR TRUNCATE ON account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- transfer: moves money at once. reserve: sets it aside. post | void: the one resolution of a reserve, a row of its own.
-- Debit and credit are accounts: `ledger_apply`, the only writer, checks that under the accounts' locks, and accounts are
-- never deleted. Foreign keys would check the same few rows again for each of thousands of transfers.
CREATE TABLE transfer (
    id           text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 100),
    kind         text NOT NULL CHECK (kind IN ('transfer', 'reserve', 'post', 'void')),
    pending_id   text,
    debit        text NOT NULL,
    credit       text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency     text NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (debit <> credit),
    CHECK ((kind IN ('post', 'void')) = (pending_id IS NOT NULL))
);
CREATE UNIQUE INDEX transfer_one_resolution ON transfer (pending_id) WHERE pending_id IS NOT NULL;

-- One row per account a posted transfer touches; debits are negative. Sums to zero per transfer and currency.
CREATE TABLE entry (
    transfer_id  text NOT NULL,
    account      text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency     text NOT NULL,
    PRIMARY KEY (transfer_id, account)
);

CREATE TRIGGER transfer_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Apply a batch in one statement. One result per row, in order:
--   created | exists | exists-with-different-input | repeated-in-batch | insufficient | already-posted |
--   already-voided | pending-not-found | account-unknown | currency-differs | amount-invalid
-- Only `created` changes anything. Money that arrives or is freed in the batch can be spent only by the next batch, and
-- the first debit an account cannot bear cuts all later debits of that account: a list is funded as a prefix.
-- Each row is looked up by its keys, whatever the statistics say: a join of another kind would read the whole ledger for
-- every batch. Hence LATERAL with LIMIT, and no sequential scans.
CREATE FUNCTION ledger_apply(
    ids text[], kinds text[], pendings text[], debits text[], credits text[], amounts bigint[], currencies text[]
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
        FROM unnest(ids, kinds, pendings, debits, credits, amounts, currencies)
             WITH ORDINALITY AS g (id, kind, pending_id, debit, credit, amount_minor, currency, ord)
    ), known AS (
        SELECT g.ord, g.id, g.kind, g.pending_id, g.repeated,
               coalesce(p.debit, g.debit) AS debit, coalesce(p.credit, g.credit) AS credit,
               coalesce(p.amount_minor, g.amount_minor) AS amount_minor, coalesce(p.currency, g.currency) AS currency,
               p.id IS NOT NULL AS pending_known, r.kind AS resolved_as,
               x.id IS NOT NULL AS present,
               (x.kind, x.pending_id, x.debit, x.credit, x.amount_minor, x.currency) IS NOT DISTINCT FROM
               (g.kind, g.pending_id, coalesce(p.debit, g.debit), coalesce(p.credit, g.credit),
                coalesce(p.amount_minor, g.amount_minor), coalesce(p.currency, g.currency)) AS same
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
                   WHEN k.kind IN ('post', 'void') AND NOT k.pending_known THEN 'pending-not-found'
                   WHEN k.resolved_as = 'post' THEN 'already-posted'
                   WHEN k.resolved_as = 'void' THEN 'already-voided'
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
        INSERT INTO transfer (id, kind, pending_id, debit, credit, amount_minor, currency)
        SELECT n.id, n.kind, n.pending_id, n.debit, n.credit, n.amount_minor, n.currency FROM created n
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
