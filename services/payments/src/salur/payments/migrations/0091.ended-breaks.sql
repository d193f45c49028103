-- What people have ended, found again by what the next statement says.
CREATE INDEX recon_break_ended ON recon_break (bank, instruction_id, kind) WHERE proposal_id IS NOT NULL;
