-- name: insert_bank_key^
INSERT INTO bank_key (bank, key_id, public_key, valid_from, valid_until, proposal_id)
VALUES (:bank, :key_id, :public_key, :valid_from, :valid_until, :proposal_id)
ON CONFLICT DO NOTHING RETURNING key_id;

-- name: end_bank_key^
UPDATE bank_key SET valid_until = least(valid_until, greatest(:valid_until::timestamptz, valid_from))
WHERE bank = :bank AND key_id = :key_id RETURNING valid_until;

-- name: keys_of_banks
SELECT bank, key_id, public_key, valid_from, valid_until FROM bank_key
WHERE bank = ANY (:banks::text[]) ORDER BY bank, key_id;
