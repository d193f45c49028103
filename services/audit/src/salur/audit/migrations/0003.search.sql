-- What auditors search. Derived from `entry` and behind it by a lag of its own; the log never waits for it.

-- How far the log has been indexed.
CREATE TABLE search_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    indexed  bigint NOT NULL DEFAULT 0
);
INSERT INTO search_state DEFAULT VALUES;

-- Between which event times a run of entries lies. Leaf order is not time: a question about a time reads only these runs.
CREATE TABLE search_run (
    first    bigint PRIMARY KEY,
    finish   bigint NOT NULL,
    earliest timestamptz,
    latest   timestamptz
);

CREATE TABLE search_entry (
    leaf_index bigint PRIMARY KEY,
    event_time timestamptz,
    own_region boolean NOT NULL
) PARTITION BY RANGE (leaf_index);

-- One row per dimension and value an entry can be found by, for example `payment=1f…`: every index is a keyset.
CREATE TABLE search_term (
    term       text COLLATE "C" NOT NULL,
    leaf_index bigint NOT NULL,
    PRIMARY KEY (term, leaf_index)
) PARTITION BY RANGE (leaf_index);

-- What one term says about others: an entitlement names its household, cycle and programme. Learnt once, so that a payment
-- is found by programme and region although its event names neither.
CREATE TABLE search_implies (
    term    text COLLATE "C" NOT NULL,
    implied text COLLATE "C" NOT NULL,
    PRIMARY KEY (term, implied)
);

CREATE FUNCTION search_partition(first bigint, entries bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    number bigint := first / entries;
BEGIN
    IF to_regclass('search_term_' || number) IS NULL THEN
        EXECUTE format('CREATE TABLE search_term_%s PARTITION OF search_term FOR VALUES FROM (%s) TO (%s)',
                       number, number * entries, (number + 1) * entries);
        EXECUTE format('CREATE TABLE search_entry_%s PARTITION OF search_entry FOR VALUES FROM (%s) TO (%s)',
                       number, number * entries, (number + 1) * entries);
    END IF;
END $$;

-- A text an index can hold, or null.
CREATE FUNCTION search_term_of(dimension text, value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN length(value) BETWEEN 1 AND 200 THEN dimension || '=' || value END
$$;

-- The data of an event. Bytes with an escaped NUL are searchable by their envelope alone.
CREATE FUNCTION search_document(leaf bytea) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN position('\x5c7530303030'::bytea IN leaf) = 0 THEN convert_from(leaf, 'UTF8')::json END
$$;

-- Index the next entries of the log, at most `most`, never over the end of a partition. Returns how many.
CREATE FUNCTION search_index(most bigint, partition_entries bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    begin_at bigint;
    end_at bigint;
BEGIN
    SELECT indexed INTO begin_at FROM search_state FOR UPDATE;
    SELECT least(size, begin_at + most, (begin_at / partition_entries + 1) * partition_entries) INTO end_at FROM log_state;
    IF end_at <= begin_at THEN
        RETURN 0;
    END IF;
    PERFORM search_partition(begin_at, partition_entries);

    CREATE TEMPORARY TABLE IF NOT EXISTS search_batch (leaf_index bigint, term text COLLATE "C") ON COMMIT DELETE ROWS;
    DELETE FROM search_batch;

    WITH read AS MATERIALIZED (
        SELECT e.leaf_index, e.topic, e.partition, e.kafka_offset, e.stream, e.event_id, e.type, e.subject,
               CASE WHEN pg_input_is_valid(e.event_time, 'timestamptz') THEN e.event_time::timestamptz END AS event_time,
               CASE WHEN e.stream IS NOT NULL THEN search_document(e.leaf) END AS document
        FROM entry e WHERE e.leaf_index >= begin_at AND e.leaf_index < end_at
    ), said AS MATERIALIZED (
        SELECT r.*, r.document ->> 'actor' AS actor, r.document ->> 'cause' AS cause, d.*
        FROM read r
        LEFT JOIN LATERAL json_to_record(
            CASE WHEN json_typeof(r.document -> 'data') = 'object' THEN r.document -> 'data' END
        ) AS d (household_id text, beneficiary_id text, payment_id text, entitlement_id text, cycle_id text,
                programme_id text, list_id text, fund_id text, decision_id text, case_id text, proposal_id text,
                bank text, region text, account_token text) ON true
    ), entries AS (
        INSERT INTO search_entry (leaf_index, event_time, own_region)
        SELECT leaf_index, event_time, coalesce(region, '') <> '' FROM said
    ), run AS (
        INSERT INTO search_run (first, finish, earliest, latest)
        SELECT begin_at, end_at, min(event_time), max(event_time) FROM said
    )
    INSERT INTO search_batch (leaf_index, term)
    SELECT DISTINCT s.leaf_index, t.term
    FROM said s CROSS JOIN LATERAL (
        SELECT * FROM (VALUES
            -- A record of an outside topic is known by its position; what it led to names that as its cause.
            (search_term_of('event', CASE WHEN s.stream IS NULL
                THEN s.topic || '/' || s.partition || '/' || s.kafka_offset ELSE s.event_id END)),
            (search_term_of('type', s.type)), (search_term_of('subject', s.subject)), (search_term_of('topic', s.topic)),
            (search_term_of('actor', s.actor)), (search_term_of('cause', s.cause)),
            (search_term_of('household', coalesce(s.household_id, s.beneficiary_id))),
            (search_term_of('payment', s.payment_id)), (search_term_of('entitlement', s.entitlement_id)),
            (search_term_of('cycle', s.cycle_id)), (search_term_of('programme', s.programme_id)),
            (search_term_of('list', s.list_id)), (search_term_of('fund', s.fund_id)),
            (search_term_of('decision', s.decision_id)), (search_term_of('case', s.case_id)),
            (search_term_of('proposal', s.proposal_id)), (search_term_of('account', s.account_token)),
            (search_term_of('bank', coalesce(s.bank, substring(s.topic FROM '^(?:banks\.results|payments\.instructions)\.(.*)$'))))
        ) AS v (term)
        UNION ALL
        SELECT search_term_of('region', left(s.region, size))
        FROM unnest(ARRAY[2, 5, 8, 13]) AS size
        WHERE length(s.region) >= size
    ) AS t
    WHERE t.term IS NOT NULL;

    -- What this batch teaches, and all that follows from it: for its own entries and for those that stood before it.
    WITH RECURSIVE learnt AS (
        INSERT INTO search_implies (term, implied)
        SELECT DISTINCT a.term, b.term
        FROM search_batch a
        JOIN search_batch b ON b.leaf_index = a.leaf_index
        JOIN (VALUES ('payment', 'entitlement'), ('payment', 'household'), ('payment', 'cycle'), ('payment', 'bank'),
                     ('payment', 'list'), ('entitlement', 'household'), ('entitlement', 'cycle'),
                     ('entitlement', 'programme'), ('cycle', 'programme'), ('list', 'cycle'), ('list', 'fund'), ('cycle', 'fund'),
                     ('household', 'region')) AS d (known, implied)
          ON split_part(a.term, '=', 1) = d.known AND split_part(b.term, '=', 1) = d.implied
        ON CONFLICT DO NOTHING
        RETURNING term, implied
    ), rules AS MATERIALIZED (
        SELECT * FROM learnt
        UNION ALL
        SELECT i.term, i.implied FROM search_implies i
        WHERE i.term IN (SELECT term FROM search_batch UNION SELECT implied FROM learnt)
    ), deeper AS MATERIALIZED (
        SELECT * FROM rules
        UNION ALL
        SELECT i.term, i.implied FROM search_implies i WHERE i.term IN (SELECT implied FROM rules)
    ), reached AS (
        SELECT leaf_index, term FROM search_batch
        UNION
        SELECT t.leaf_index, l.implied FROM learnt l JOIN search_term t ON t.term = l.term
        UNION
        SELECT r.leaf_index, d.implied FROM reached r JOIN deeper d ON d.term = r.term
    )
    INSERT INTO search_term (term, leaf_index)
    SELECT r.term, r.leaf_index
    FROM reached r
    WHERE r.term NOT LIKE 'region=%'
       OR EXISTS (SELECT 1 FROM search_batch b WHERE b.leaf_index = r.leaf_index AND b.term = r.term)
       OR NOT EXISTS (SELECT 1 FROM search_entry e WHERE e.leaf_index = r.leaf_index AND e.own_region)
    ON CONFLICT DO NOTHING;

    UPDATE search_state SET indexed = end_at;
    RETURN end_at - begin_at;
END $$;

-- Questions that auditors ask again. Only their owner changes them.
CREATE TABLE saved_query (
    owner    text NOT NULL,
    name     text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    question jsonb NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, name)
);
