-- A merge of people ends their guardianships and begins them anew for who they turned out to be; its undoing turns back.
ALTER TABLE guardianship
    ADD COLUMN ended_in_merge text,
    ADD COLUMN follows text COLLATE "C" REFERENCES guardianship (guardianship_id) ON DELETE SET NULL;
CREATE INDEX guardianship_merge ON guardianship (ended_in_merge) WHERE ended_in_merge IS NOT NULL;
CREATE INDEX guardianship_follows ON guardianship (follows) WHERE follows IS NOT NULL;
CREATE INDEX guardianship_guardian ON guardianship (guardian_id) WHERE ended_at IS NULL;
