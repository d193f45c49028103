-- name: insert_claim!
INSERT INTO claim (case_id, payment_id, fund_id, region, currency, amount_minor, open_minor, written_off_minor)
VALUES (:case_id, :payment_id, :fund_id, :region, :currency, :amount_minor, :open_minor, :written_off_minor);

-- name: claim_for_update^
SELECT * FROM claim WHERE case_id = :case_id FOR UPDATE;

-- name: reduce_claim!
UPDATE claim SET open_minor = open_minor - :open_minor::bigint, written_off_minor = written_off_minor + :written_off_minor::bigint,
                 returned_minor = returned_minor + :returned_minor::bigint, reductions = :number
WHERE case_id = :case_id;

-- name: claims_of_payments
-- Claims and losses of payments that a bank has returned.
SELECT * FROM claim WHERE payment_id = ANY (:payment_ids::text[]) AND open_minor + written_off_minor > 0
ORDER BY case_id FOR UPDATE;

-- name: claims_page
SELECT c.case_id, c.payment_id, c.fund_id, c.region, c.currency, c.amount_minor, c.open_minor, c.written_off_minor,
       c.returned_minor, m.state AS resolution, m.beneficiary_id,
       extract(epoch FROM now() - c.opened_at)::bigint AS age_s
FROM claim c JOIN money_case m USING (case_id)
WHERE c.case_id > :after AND (NOT :only_open OR c.open_minor > 0) ORDER BY c.case_id LIMIT :most;
