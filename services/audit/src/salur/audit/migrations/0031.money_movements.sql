-- depends: 0030.search_postings
-- The ledger made again from the log: every movement of money with the entry that announced it. Filled beside search, so
-- search reads the log again from its start.
TRUNCATE search_block, search_posting, search_implies;
UPDATE search_state SET indexed = 0;

CREATE TABLE money_movement (
    id           text COLLATE "C" NOT NULL,
    leaf_index   bigint NOT NULL,
    debit        text NOT NULL,
    credit       text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency     text NOT NULL,
    PRIMARY KEY (id, leaf_index)
);
CREATE INDEX money_movement_debit ON money_movement (debit, leaf_index, id);
CREATE INDEX money_movement_credit ON money_movement (credit, leaf_index, id);
