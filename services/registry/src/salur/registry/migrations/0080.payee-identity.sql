-- Keyed hash of the NIK of whom the account is: of the holder as stated, else of the head of the family. It is told to
-- payments, which hold whoever is to be paid twice under one number.
ALTER TABLE payee ADD COLUMN identity_token text;
