-- Groups, communities and institutions stand beside families: a programme is for one kind and decides only that one.
-- Their rows hold attributes, members with their roles, and until when an institution is accredited.
ALTER TABLE household ADD COLUMN kind text NOT NULL DEFAULT 'family'
    CHECK (kind IN ('family', 'group', 'community', 'institution'));
ALTER TABLE programme ADD COLUMN subject text NOT NULL DEFAULT 'family'
    CHECK (subject IN ('family', 'group', 'community', 'institution'));
UPDATE programme SET subject = substring(rules FROM '(?m)^kind:\s*(group|community)')
WHERE rules ~ '(?m)^kind:\s*(group|community)';
-- They had no decision to wait for until now.
UPDATE programme SET decided = on_call WHERE subject <> 'family' AND in_force;
