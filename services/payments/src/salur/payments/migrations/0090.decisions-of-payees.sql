-- A decision keeps whose account, and which version of it, it was about: a release counts for no later account.
ALTER TABLE item_decision ADD COLUMN payee_id text, ADD COLUMN payee_version integer;
-- What people decided on the lists of a cycle, for the list that is built again.
CREATE INDEX item_decision_on ON item_decision (list_id);
