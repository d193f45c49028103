-- name: insert_payments!
INSERT INTO payment (instruction_id, payment_id, attempt, entitlement_id, part, beneficiary_id, cycle_id, list_id,
                     fund_id, bank, amount_minor, currency, region, state, execute_until, answer_due_at,
                     account_commitment, payee_id, method, offset_minor)
SELECT i.instruction_id, i.payment_id, i.attempt, i.entitlement_id, i.part, i.beneficiary_id, l.cycle_id, l.list_id,
       i.fund_id, i.bank, i.amount_minor, i.currency, i.region, 'instructed', g.execute_until, g.answer_due_at,
       g.account_commitment, i.payee_id, i.method, i.offset_minor
FROM unnest(:payment_ids::text[], :account_commitments::text[], :execute_until::timestamptz[],
            :answer_due_at::timestamptz[]) AS g (payment_id, account_commitment, execute_until, answer_due_at)
JOIN payment_list l ON l.list_id = :list_id
JOIN list_item i ON i.list_id = l.list_id AND i.payment_id = g.payment_id;

-- name: overdue_payments
-- Takes what waits too long for an answer, moves it to unknown, and sets when to ask again.
WITH due AS (
    SELECT instruction_id, state FROM payment
    WHERE state IN ('instructed', 'unknown') AND answer_due_at <= now()
    ORDER BY answer_due_at LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE payment p
SET state = 'unknown', inquiries = p.inquiries + 1, changed_at = now(),
    answer_due_at = now() + make_interval(
        secs => least(:interval_max_s::float8, :interval_s::float8 * power(2, least(p.inquiries, 30))))
FROM due WHERE p.instruction_id = due.instruction_id
RETURNING p.instruction_id, p.payment_id, p.entitlement_id, p.beneficiary_id, p.cycle_id, p.bank, p.amount_minor,
          p.currency, p.inquiries, due.state AS state_before;

-- name: insert_messages
INSERT INTO bank_message (bank, message_id, content_hash)
SELECT * FROM unnest(:banks::text[], :message_ids::text[], :hashes::bytea[])
ON CONFLICT DO NOTHING RETURNING bank, message_id;

-- name: known_messages
SELECT m.bank, m.message_id, m.content_hash
FROM unnest(:banks::text[], :message_ids::text[]) AS g (bank, message_id)
JOIN bank_message m ON m.bank = g.bank AND m.message_id = g.message_id;

-- name: lock_payments
SELECT instruction_id, payment_id, entitlement_id, beneficiary_id, cycle_id, list_id, fund_id, bank, amount_minor,
       currency, region, cancel_reason, method, offset_minor, execute_until, ready_at, state, reason, bank_reference, return_reference, account_commitment,
       (SELECT c.state FROM recall c WHERE c.instruction_id = payment.instruction_id) AS recall
FROM payment WHERE instruction_id = ANY (:instruction_ids::text[]) ORDER BY instruction_id FOR UPDATE;

-- name: move_payments!
UPDATE payment p
SET state = g.state, reason = coalesce(g.reason, p.reason),
    bank_reference = coalesce(g.bank_reference, p.bank_reference),
    return_reference = coalesce(g.return_reference, p.return_reference), changed_at = now()
FROM unnest(:instruction_ids::text[], :states::text[], :reasons::text[], :bank_references::text[],
            :return_references::text[]) AS g (instruction_id, state, reason, bank_reference, return_reference)
WHERE p.instruction_id = g.instruction_id;

-- name: mark_ready!
UPDATE payment SET ready_at = now() WHERE instruction_id = ANY (:instruction_ids::text[]);

-- name: waiting_returns
SELECT bank, message_id, instruction_id, topic, partition, kafka_offset, sealed
FROM parked_return WHERE instruction_id = ANY (:instruction_ids::text[]) AND judged_at IS NULL
ORDER BY parked_at, topic, partition, kafka_offset;

-- name: park_returns!
INSERT INTO parked_return (bank, message_id, instruction_id, topic, partition, kafka_offset, sealed)
SELECT * FROM unnest(:banks::text[], :message_ids::text[], :instruction_ids::text[], :topics::text[],
                     :partitions::int[], :offsets::bigint[], :sealed::bytea[])
ON CONFLICT DO NOTHING;

-- name: judge_returns!
UPDATE parked_return r SET judged_at = now()
FROM unnest(:banks::text[], :message_ids::text[]) AS g (bank, message_id)
WHERE r.bank = g.bank AND r.message_id = g.message_id;

-- name: insert_suspense!
INSERT INTO suspense (suspense_id, bank, topic, partition, kafka_offset, reason, instruction_id, size, sealed)
SELECT * FROM unnest(:suspense_ids::text[], :banks::text[], :topics::text[], :partitions::int[], :offsets::bigint[],
                     :reasons::text[], :instruction_ids::text[], :sizes::int[], :sealed::bytea[])
ON CONFLICT DO NOTHING;

-- name: suspense_page
SELECT suspense_id, bank, topic, partition, kafka_offset, reason, instruction_id, size, raised_at
FROM suspense WHERE suspense_id > :after AND ended_at IS NULL ORDER BY suspense_id LIMIT :most;

-- name: attempts_of_payment
SELECT instruction_id, attempt, entitlement_id, cycle_id, list_id, bank, amount_minor, offset_minor, currency, region, state, reason,
       inquiries, changed_at,
       EXISTS (SELECT 1 FROM parked_return r WHERE r.instruction_id = p.instruction_id AND r.judged_at IS NULL)
           AS return_waits
FROM payment p WHERE payment_id = :payment_id ORDER BY attempt;

-- name: newest_attempt^
SELECT instruction_id, region, method, state, execute_until FROM payment
WHERE payment_id = :payment_id ORDER BY attempt DESC LIMIT 1;

-- name: items_of_payment
SELECT i.list_id, i.entitlement_id, i.rank, i.hold, i.amount_minor, i.offset_minor, i.currency, i.region, i.bank,
       l.state AS list_state, l.cycle_id
FROM list_item i JOIN payment_list l ON l.list_id = i.list_id
WHERE i.payment_id = :payment_id ORDER BY l.built_at DESC;

-- name: payments_page
SELECT instruction_id, payment_id, bank, amount_minor, currency, region, state, reason, inquiries, changed_at
FROM payment
WHERE list_id = :list_id AND instruction_id > :after AND (:state::text IS NULL OR state = :state)
ORDER BY instruction_id LIMIT :most;

-- name: region_of$
SELECT region FROM payment WHERE payment_id = :key LIMIT 1;

-- name: other_account^
-- Whether the registry names another account now than the one the newest attempt went to.
SELECT p.account_token <> o.account_token AS other
FROM payment f
JOIN list_item i ON i.list_id = f.list_id AND i.payment_id = f.payment_id
JOIN payee o ON o.beneficiary_id = f.payee_id AND o.version = i.payee_version
CROSS JOIN LATERAL (
    SELECT account_token FROM payee WHERE payee.beneficiary_id = f.payee_id ORDER BY version DESC LIMIT 1
) p
WHERE f.payment_id = :payment_id ORDER BY f.attempt DESC LIMIT 1;
