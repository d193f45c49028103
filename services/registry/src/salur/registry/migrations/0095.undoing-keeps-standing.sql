-- How the account of an absorbed family stood before the merge: its undoing brings back that, not an open account.
-- NULL = it had none, or it is not known any more.
ALTER TABLE household_merge ADD COLUMN payee_status text CHECK (payee_status IN ('active', 'suspended', 'closed'));

-- A merge that stands has closed the account, unless it was closed already; nothing changes it until the undoing.
UPDATE household_merge m SET payee_status = coalesce(
    (SELECT v.status FROM payee_version v
     WHERE v.household_id = m.absorbed_id AND v.version = p.version - 1 AND v.valid_until >= m.merged_at), p.status)
FROM payee p
WHERE p.household_id = m.absorbed_id AND m.whole AND m.undone_at IS NULL;

-- Who of the people of a merge has died since, wherever they were.
CREATE INDEX person_death_member ON person_death (member_id);
