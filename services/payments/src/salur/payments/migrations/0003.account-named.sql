-- The account each instruction named, as its event commits to it: a credit must name the same one.
ALTER TABLE payment ADD COLUMN account_commitment text;

-- Instructions sent before this column existed.
UPDATE payment p
SET account_commitment = convert_from(e.body, 'UTF8')::jsonb -> 'data' ->> 'account_number'
FROM event e
WHERE e.type = 'salur.payment.instructed.v1'
  AND convert_from(e.body, 'UTF8')::jsonb -> 'data' ->> 'instruction_id' = p.instruction_id;

ALTER TABLE payment ALTER COLUMN account_commitment SET NOT NULL;
