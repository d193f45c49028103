-- depends: 0004.flags
-- Search by postings: per term and block of entries one row with the places of the entries that have it. A value that many
-- entries share (a type, a region, a programme) costs a row per block instead of a row per entry. Search is derived from
-- `entry`, so nothing is moved: it reads the log again from its start.

DROP FUNCTION search_index(bigint, bigint);
DROP FUNCTION search_partition(bigint, bigint);
DROP FUNCTION search_term_of(text, text);
DROP TABLE search_term;
DROP TABLE search_entry;
DROP TABLE search_run;
TRUNCATE search_implies;
UPDATE search_state SET indexed = 0;

-- How many entries a block has: two entry bundles of the log.
CREATE FUNCTION search_width() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 512::bigint';

-- Between which event times the entries of a block lie (leaf order is not time), and which of them name their own region.
CREATE TABLE search_block (
    block      bigint PRIMARY KEY,
    entries    integer NOT NULL,
    earliest   timestamptz,
    latest     timestamptz,
    own_region smallint[] NOT NULL
);

-- The entries of a block that have a term, for example `payment=1f…`, by their place in it, rising. The key is the keyset.
CREATE TABLE search_posting (
    term   text COLLATE "C" NOT NULL,
    block  bigint NOT NULL,
    places smallint[] NOT NULL CHECK (cardinality(places) > 0),
    PRIMARY KEY (term, block)
) PARTITION BY RANGE (block);

CREATE FUNCTION search_partition(first bigint, blocks bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    number bigint := first / blocks;
BEGIN
    IF to_regclass('search_posting_' || number) IS NULL THEN
        EXECUTE format('CREATE TABLE search_posting_%s PARTITION OF search_posting FOR VALUES FROM (%s) TO (%s)',
                       number, number * blocks, (number + 1) * blocks);
    END IF;
END $$;

-- Index and times of an event's entry. A time that is none is never found by time.
CREATE FUNCTION search_time(said text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN pg_input_is_valid(said, 'timestamptz') THEN said::timestamptz END
$$;

-- Entries (after, before) with every term, from one of the regions of `scope` when it is given, within a time, in order.
-- The first term leads: it should be the rarest. Step by step by key, whatever the planner believes of the tables.
CREATE FUNCTION search_hits(
    terms text[], scope text[], since timestamptz, until timestamptz, after bigint, before bigint, most bigint
) RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 50
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    width  CONSTANT bigint := search_width();
    timed  CONSTANT boolean := since IS NOT NULL OR until IS NOT NULL;
    low    bigint := (after + 1) / width;
    high   bigint := (before - 1) / width;
    blocks refcursor;
    at     bigint;
    here  smallint[];
    other  smallint[];
    earliest_at timestamptz;
    latest_at timestamptz;
    asked  text;
    given  bigint := 0;
    step   bigint;
BEGIN
    IF timed THEN
        SELECT greatest(low, min(b.block)), least(high, max(b.block)) INTO low, high FROM search_block b
        WHERE b.block BETWEEN low AND high
          AND (since IS NULL OR b.latest >= since) AND (until IS NULL OR b.earliest < until);
    END IF;
    IF cardinality(terms) = 0 THEN
        OPEN blocks FOR
            SELECT b.block, ARRAY(SELECT generate_series(0, b.entries - 1)::smallint) FROM search_block b
            WHERE b.block BETWEEN low AND high
              AND (since IS NULL OR b.latest >= since) AND (until IS NULL OR b.earliest < until)
            ORDER BY b.block;
    ELSE
        OPEN blocks FOR
            SELECT p.block, p.places FROM search_posting p
            WHERE p.term = terms[1] AND p.block BETWEEN low AND high ORDER BY p.block;
    END IF;

    <<of_blocks>>
    WHILE given < most LOOP
        FETCH blocks INTO at, here;
        EXIT WHEN NOT FOUND;
        IF timed THEN
            SELECT b.earliest, b.latest INTO earliest_at, latest_at FROM search_block b WHERE b.block = at;
            CONTINUE WHEN latest_at < since OR earliest_at >= until;
        END IF;
        FOREACH asked IN ARRAY terms[2:] LOOP
            SELECT p.places INTO other FROM search_posting p WHERE p.term = asked AND p.block = at;
            CONTINUE of_blocks WHEN NOT FOUND;
            here := search_common(here, other);
            CONTINUE of_blocks WHEN cardinality(here) = 0;
        END LOOP;
        IF scope IS NOT NULL THEN
            SELECT array_agg(o.place) INTO other
            FROM search_posting p CROSS JOIN LATERAL unnest(p.places) AS o (place)
            WHERE p.term = ANY (scope) AND p.block = at;
            here := search_common(here, coalesce(other, '{}'));
        END IF;
        IF timed AND (earliest_at >= coalesce(since, earliest_at) AND latest_at < coalesce(until, 'infinity')) IS NOT TRUE THEN
            here := ARRAY(
                SELECT (e.leaf_index - at * width)::smallint FROM entry e
                WHERE e.leaf_index = ANY (ARRAY(SELECT at * width + o.place FROM unnest(here) AS o (place)))
                  AND (since IS NULL OR search_time(e.event_time) >= since)
                  AND (until IS NULL OR search_time(e.event_time) < until));
        END IF;
        RETURN QUERY
            SELECT at * width + o.place FROM unnest(here) AS o (place)
            WHERE at * width + o.place > after AND at * width + o.place < before
            ORDER BY 1 LIMIT most - given;
        GET DIAGNOSTICS step = ROW_COUNT;
        given := given + step;
    END LOOP;
    CLOSE blocks;
END $$;

-- What two lists of places share.
CREATE FUNCTION search_common(one smallint[], two smallint[]) RETURNS smallint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN cardinality(one) <= 16 THEN ARRAY(SELECT o FROM unnest(one) AS o WHERE o = ANY (two))
        ELSE ARRAY(SELECT unnest(one) INTERSECT SELECT unnest(two))
    END
$$;

-- Where an event stands: by its id, or a record of an outside topic by topic/partition/offset.
CREATE FUNCTION search_event(name text) RETURNS SETOF bigint LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT e.leaf_index FROM entry e WHERE e.event_id = name
    UNION ALL
    SELECT p.block * search_width() + o.place
    FROM search_posting p CROSS JOIN LATERAL unnest(p.places) AS o (place)
    WHERE position('/' IN name) > 0 AND p.term = ('event=' || name) COLLATE "C"
$$;
