-- name: insert_bank_file^
-- Returns the row when the file is new.
INSERT INTO bank_file (bank, sha256, state, kind, message_id, size, transactions, refusal)
VALUES (:bank, :sha256, :state, :kind, :message_id, :size, :transactions, :refusal)
ON CONFLICT DO NOTHING RETURNING state;

-- name: bank_file^
SELECT state, kind, message_id, transactions, taken, refusal FROM bank_file WHERE bank = :bank AND sha256 = :sha256;

-- name: advance_bank_file^
-- Nothing comes back when another process has been faster.
UPDATE bank_file
SET taken = :until, state = CASE WHEN :until = transactions THEN 'taken' ELSE state END
WHERE bank = :bank AND sha256 = :sha256 AND taken = :after AND state = 'checked'
RETURNING state;

-- name: bank_files
SELECT bank, sha256, state, kind, message_id, size, transactions, taken, refusal, received_at
FROM bank_file WHERE (:bank::text IS NULL OR bank = :bank)
ORDER BY received_at DESC, sha256 LIMIT :most;

-- name: named_accounts
-- The accounts instructions named, sealed, with what their events commit to.
SELECT p.instruction_id, p.bank, p.amount_minor, p.currency, p.account_commitment, p.bank_reference, i.payee_id,
       y.sealed, c.number AS recall
FROM payment p
LEFT JOIN recall c USING (instruction_id)
JOIN list_item i ON i.list_id = p.list_id AND i.payment_id = p.payment_id
JOIN payee y ON y.beneficiary_id = i.payee_id AND y.version = i.payee_version
WHERE p.instruction_id = ANY (:instruction_ids::text[]);

-- name: named_checks
-- The accounts questions named, sealed, with what their events commit to.
SELECT c.check_id, c.beneficiary_id, c.account_commitment, y.sealed
FROM account_check c JOIN payee y ON y.beneficiary_id = c.beneficiary_id AND y.version = c.version
WHERE c.check_id = ANY (:check_ids::text[]);

-- name: declare_file_marks!
INSERT INTO bank_file_mark (stream, sequence)
SELECT unnest(:streams::text[]), 0 ON CONFLICT DO NOTHING;

-- name: pending_instructions
-- The next events of a bank's streams beyond their marks, oldest first per stream. Locks the marks.
WITH mark AS (
    SELECT stream, sequence FROM bank_file_mark WHERE stream = ANY (:streams::text[]) ORDER BY stream FOR UPDATE
)
SELECT e.stream, mark.sequence AS after, e.sequence, e.recorded_at
FROM mark
CROSS JOIN LATERAL (
    SELECT stream, sequence, recorded_at FROM event
    WHERE event.stream = mark.stream AND event.sequence > mark.sequence ORDER BY event.sequence LIMIT :per_stream
) e
ORDER BY e.stream, e.sequence;

-- name: advance_file_marks!
UPDATE bank_file_mark m SET sequence = g.sequence
FROM unnest(:streams::text[], :sequences::bigint[]) AS g (stream, sequence) WHERE m.stream = g.stream;

-- name: plan_outgoing!
INSERT INTO outgoing_file (message_id, bank, streams, after, until, created_at, state)
VALUES (:message_id, :bank, :streams::text[], :after::bigint[], :until::bigint[], :created_at, 'planned');

-- name: planned_outgoing^
SELECT message_id, bank, streams, after, until, created_at FROM outgoing_file
WHERE state = 'planned' ORDER BY created_at, message_id LIMIT 1;

-- name: outgoing_by_message^
SELECT message_id, bank, streams, after, until, transactions, amount_minor FROM outgoing_file
WHERE message_id = :message_id AND bank = :bank AND state = 'written';

-- name: outgoing_events
SELECT e.stream, e.sequence, e.type, e.body, p.sealed, k.sealed AS subject_key, p.subject
FROM unnest(:streams::text[], :after::bigint[], :until::bigint[]) AS g (stream, after, until)
JOIN event e ON e.stream = g.stream AND e.sequence > g.after AND e.sequence <= g.until
LEFT JOIN event_personal p ON p.stream = e.stream AND p.sequence = e.sequence
LEFT JOIN subject_key k ON k.subject = p.subject
ORDER BY e.stream, e.sequence;

-- name: finish_outgoing!
UPDATE outgoing_file
SET state = 'written', sha256 = :sha256, transactions = :transactions, amount_minor = :amount_minor
WHERE message_id = :message_id AND state = 'planned';
