-- What a bank reports of an account is about payments to its payee, whoever the beneficiary is.
CREATE OR REPLACE VIEW unclaimed_payment AS
SELECT p.instruction_id, p.bank, p.cycle_id, p.region, p.amount_minor, p.currency, u.standing, u.since
FROM unclaimed_report u JOIN payment p ON p.instruction_id = u.instruction_id AND p.bank = u.bank
WHERE u.standing <> 'claimed' AND p.state = 'settled'
UNION ALL
SELECT p.instruction_id, p.bank, p.cycle_id, p.region, p.amount_minor, p.currency, r.standing, p.changed_at::date
FROM account_report r
JOIN payee y ON y.account_token = r.account_token
JOIN payment p ON p.payee_id = y.beneficiary_id AND p.state = 'settled' AND p.bank = r.bank
JOIN list_item i ON i.list_id = p.list_id AND i.payment_id = p.payment_id AND i.payee_version = y.version
WHERE r.standing <> 'active'
  AND NOT EXISTS (SELECT 1 FROM unclaimed_report u WHERE u.instruction_id = p.instruction_id);
