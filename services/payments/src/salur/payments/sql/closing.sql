-- name: closing_totals
-- Per currency: what the ledger holds by kind of account beside what the payments say.
WITH book AS (
    SELECT currency, sum(posted_minor)::bigint AS ledger_sum_minor,
           coalesce(sum(posted_minor) FILTER (WHERE kind = 'treasury'), 0)::bigint AS treasury_minor,
           coalesce(sum(posted_minor) FILTER (WHERE kind = 'fund'), 0)::bigint AS funds_minor,
           coalesce(sum(reserved_minor) FILTER (WHERE kind = 'fund'), 0)::bigint AS reserved_minor,
           coalesce(sum(posted_minor) FILTER (WHERE kind = 'clearing'), 0)::bigint AS clearing_minor,
           coalesce(sum(posted_minor) FILTER (WHERE kind = 'beneficiaries'), 0)::bigint AS beneficiaries_minor,
           coalesce(sum(posted_minor) FILTER (WHERE kind = 'disputed'), 0)::bigint AS disputed_minor
    FROM account GROUP BY currency
), told AS (
    SELECT currency, coalesce(sum(amount_minor) FILTER (WHERE state = 'settled'), 0)::bigint AS settled_minor,
           coalesce(sum(amount_minor) FILTER (WHERE state = 'disputed'), 0)::bigint AS in_dispute_minor,
           coalesce(sum(amount_minor) FILTER (WHERE state IN ('instructed', 'unknown')), 0)::bigint AS in_flight_minor
    FROM payment GROUP BY currency
), waiting AS (
    SELECT i.currency, sum(i.amount_minor)::bigint AS waiting_minor
    FROM payment_list l JOIN list_item i USING (list_id)
    WHERE l.state IN ('submitted', 'approved') AND i.hold IS NULL
      AND i.rank > l.instructed_rank AND i.rank <= l.last_rank
    GROUP BY i.currency
)
SELECT b.*, coalesce(t.settled_minor, 0) AS settled_minor, coalesce(t.in_dispute_minor, 0) AS in_dispute_minor,
       coalesce(t.in_flight_minor, 0) AS in_flight_minor, coalesce(w.waiting_minor, 0) AS waiting_minor
FROM book b LEFT JOIN told t USING (currency) LEFT JOIN waiting w USING (currency) ORDER BY b.currency;

-- name: carried_breaks
SELECT bank, kind, owner, count(*) AS count, coalesce(sum(expected_minor), 0)::bigint AS expected_minor,
       max(extract(epoch FROM now() - raised_at))::bigint AS oldest_s
FROM recon_break WHERE state = 'open' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: newest_statements
SELECT bank, max(until) AS until FROM statement GROUP BY bank ORDER BY bank;

-- name: day_moves
-- What became of payments on a day (UTC), by bank and state, by when they came to stand there.
SELECT bank, state, currency, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
FROM payment WHERE changed_at >= :day::date AND changed_at < :day::date + 1
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: last_close$
SELECT max(day) FROM day_close;

-- name: close_of^
SELECT day, report, closed_by, closed_at FROM day_close WHERE day = :day;

-- name: insert_close!
INSERT INTO day_close (day, report, closed_by) VALUES (:day, :report, :closed_by);

-- name: closes_page
SELECT day, closed_by, closed_at FROM day_close WHERE day < :before ORDER BY day DESC LIMIT :most;

-- name: end_suspense$
UPDATE suspense SET ended_at = now(), ended_by = :actor, finding = :finding
WHERE suspense_id = :suspense_id AND ended_at IS NULL RETURNING suspense_id;

-- name: suspense_by_id^
SELECT suspense_id, bank, instruction_id, reason, ended_by, finding FROM suspense WHERE suspense_id = :suspense_id;
