-- Whose account an amendment named from now on: somebody who was granted help with one family and lives with another.
ALTER TABLE entitlement ADD COLUMN amended_payee_id text;

CREATE OR REPLACE VIEW entitlement_due AS
SELECT e.entitlement_id, e.programme_id, e.cycle_id, e.beneficiary_id, e.currency, e.region,
       coalesce(e.due_minor, e.amount_minor) AS amount_minor,
       coalesce(p.payee_id, e.amended_payee_id, e.payee_id) AS payee_id
FROM entitlement e LEFT JOIN programme_payee p USING (programme_id);
