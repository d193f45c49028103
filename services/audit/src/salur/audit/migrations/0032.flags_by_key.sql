-- depends: 0031.money_movements
-- What an entry may follow too soon, kept by rule and value when it is read, so that each later entry is one look-up. Rules
-- read the trail again from its start; what they found is known.
CREATE TABLE flag_before (
    rule       text NOT NULL,
    term       text COLLATE "C" NOT NULL,
    leaf_index bigint NOT NULL,
    PRIMARY KEY (rule, term, leaf_index)
);
UPDATE flag_rule SET checked = 0;
