-- What ISO/IEC TS 27560 asks of a consent record besides: who decides on the use, which data, who gets them, how long
-- they are kept, under which law, in which language the notice was shown.
ALTER TABLE consent
    ADD COLUMN controller     text   NOT NULL DEFAULT 'the operator of this registry',
    ADD COLUMN pii_categories text[] NOT NULL DEFAULT '{}',
    ADD COLUMN recipients     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN storage        text   NOT NULL DEFAULT 'while registered',
    ADD COLUMN jurisdiction   text   NOT NULL DEFAULT 'ID',
    ADD COLUMN language       text   NOT NULL DEFAULT 'id';
