-- name: insert_claim!
INSERT INTO claim (case_id, payment_id, fund_id, region, currency, amount_minor, open_minor, written_off_minor,
                   offset_percent, offset_from)
VALUES (:case_id, :payment_id, :fund_id, :region, :currency, :amount_minor, :open_minor, :written_off_minor,
        :offset_percent, :offset_from);

-- name: claim_for_update^
SELECT * FROM claim WHERE case_id = :case_id FOR UPDATE;

-- name: reduce_claim!
UPDATE claim SET open_minor = open_minor - :open_minor::bigint, written_off_minor = written_off_minor + :written_off_minor::bigint,
                 returned_minor = returned_minor + :returned_minor::bigint, reductions = :number
WHERE case_id = :case_id;

-- name: claims_of_payments
-- Claims and losses of payments that a bank has returned, with what they are about.
SELECT c.*, m.entitlement_id, m.beneficiary_id,
       greatest(0, c.amount_minor - c.open_minor - c.written_off_minor - c.returned_minor - c.surplus_minor) AS given_minor
FROM claim c JOIN money_case m USING (case_id) WHERE c.payment_id = ANY (:payment_ids::text[])
ORDER BY c.case_id FOR UPDATE OF c;

-- name: add_surplus!
UPDATE claim SET surplus_minor = surplus_minor + :amount_minor WHERE case_id = :case_id;

-- name: claims_page
SELECT c.case_id, c.payment_id, c.fund_id, c.region, c.currency, c.amount_minor, c.open_minor, c.written_off_minor,
       c.returned_minor, c.surplus_minor, c.offset_percent, c.offset_from, m.state AS resolution, m.beneficiary_id,
       extract(epoch FROM now() - c.opened_at)::bigint AS age_s
FROM claim c JOIN money_case m USING (case_id)
WHERE c.case_id > :after AND (NOT :only_open OR c.open_minor > 0) ORDER BY c.case_id LIMIT :most;
