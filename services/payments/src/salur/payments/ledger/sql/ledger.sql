-- name: open_accounts!
INSERT INTO account (id, kind, currency, floored)
SELECT * FROM unnest(:ids::text[], :kinds::text[], :currencies::text[], :floored::boolean[])
ON CONFLICT DO NOTHING;

-- name: apply
SELECT result
FROM ledger_apply(:ids::text[], :kinds::text[], :pendings::text[], :debits::text[], :credits::text[],
                  :amounts::bigint[], :currencies::text[], :expiries::timestamptz[])
ORDER BY row_number;

-- name: accounts
SELECT id AS account, kind, currency, posted_minor, reserved_minor, posted_minor - reserved_minor AS available_minor
FROM account ORDER BY id;

-- name: account_by_id^
SELECT posted_minor, reserved_minor FROM account WHERE id = :id;

-- name: sums
SELECT currency, sum(amount_minor)::bigint AS sum_minor FROM entry GROUP BY currency ORDER BY currency;

-- name: differing_accounts
-- Accounts whose balance is not the sum of their entries, or whose reserve is not the sum of unresolved reserves.
SELECT a.id
FROM account a
LEFT JOIN (SELECT account, sum(amount_minor) AS posted FROM entry GROUP BY account) e ON e.account = a.id
LEFT JOIN (
    SELECT t.debit, sum(t.amount_minor) AS reserved FROM transfer t
    WHERE t.kind = 'reserve' AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)
    GROUP BY t.debit
) p ON p.debit = a.id
WHERE a.posted_minor <> coalesce(e.posted, 0) OR a.reserved_minor <> coalesce(p.reserved, 0)
ORDER BY a.id;

-- name: transfer_lines
SELECT id, concat_ws('|', 'transfer', id, kind, coalesce(pending_id, ''), debit, credit, amount_minor, currency) AS line
FROM transfer WHERE id > :after ORDER BY id LIMIT :most;

-- name: moved_hash$
-- Of what moved money, without reserves and their ends.
SELECT encode(sha256(coalesce(string_agg(
    sha256(convert_to(concat_ws('|', id, debit, credit, amount_minor, currency), 'UTF8')), ''::bytea ORDER BY id COLLATE "C"
), '')), 'hex')
FROM transfer WHERE kind IN ('transfer', 'post');

-- name: statement
-- Movements by what they are (the first part of the transfer's id) and kind.
SELECT split_part(t.id, '/', 1) AS what, t.kind, count(*) AS count, sum(t.amount_minor)::bigint AS amount_minor,
       sum(CASE WHEN t.kind NOT IN ('transfer', 'post') THEN 0 WHEN t.debit = :id THEN -t.amount_minor
                ELSE t.amount_minor END)::bigint AS posted_minor,
       sum(CASE WHEN t.debit <> :id OR t.kind = 'transfer' THEN 0 WHEN t.kind = 'reserve' THEN t.amount_minor
                ELSE -t.amount_minor END)::bigint AS reserved_minor
FROM transfer t
WHERE (t.debit = :id OR t.credit = :id) AND (:until::timestamptz IS NULL OR t.recorded_at <= :until::timestamptz)
GROUP BY what, t.kind ORDER BY min(t.recorded_at), what, t.kind;
