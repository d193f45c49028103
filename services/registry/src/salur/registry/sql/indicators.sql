-- name: insert_indicator_run^
INSERT INTO indicator_run (run_id, name, level, made_by) VALUES (:run_id, :name, :level, :by)
ON CONFLICT DO NOTHING RETURNING run_id;

-- name: indicator_run^
SELECT run_id, name, level, state, made_at, finished_at FROM indicator_run WHERE run_id = :run_id;

-- name: indicator_runs
SELECT run_id, name, level, state, made_at, finished_at FROM indicator_run WHERE run_id > :after
ORDER BY run_id LIMIT :most;

-- name: counting_run^
SELECT run_id, name, level, after, made_by FROM indicator_run WHERE state = 'counting'
ORDER BY made_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: count_page^
-- One page of households added to the counts. Returns the last household of the page (NULL: there are none left).
WITH page AS (
    SELECT h.household_id, left(h.region, :digits) AS region, h.attributes, h.members,
           EXISTS (SELECT FROM payee p WHERE p.household_id = h.household_id AND p.status = 'active') AS payable
    FROM household h WHERE h.household_id > :after AND h.status = 'active' ORDER BY h.household_id LIMIT :most
), numbered AS (
    SELECT DISTINCT i.member_id FROM identifier i JOIN page USING (household_id)
    WHERE i.scheme = 'nik' AND i.member_id IS NOT NULL
), person AS (
    SELECT page.region, page.payable, page.attributes AS family, m.value -> 'attributes' AS own,
           n.member_id IS NOT NULL AS numbered
    FROM page CROSS JOIN LATERAL jsonb_array_elements(page.members) AS m
    LEFT JOIN numbered n ON n.member_id = m.value ->> 'member_id'
), said AS (
    SELECT person.region, payable, numbered, d.dimension,
           CASE WHEN d.said IS NULL OR d.said = '' THEN 'not-reported'
                WHEN d.said ~ '^[a-z0-9][a-z0-9_-]{0,39}$' THEN d.said ELSE 'other' END AS band
    FROM person CROSS JOIN LATERAL (VALUES
        ('all', 'all'),
        ('sex', own ->> 'sex'),
        ('age', CASE WHEN jsonb_typeof(own -> 'age') = 'number' THEN
                    CASE WHEN (own ->> 'age')::numeric < 6 THEN '0-5' WHEN (own ->> 'age')::numeric < 18 THEN '6-17'
                         WHEN (own ->> 'age')::numeric < 60 THEN '18-59' ELSE '60-and-over' END END),
        ('disability', own ->> 'disability'),
        ('decile', CASE WHEN jsonb_typeof(family -> 'decile') = 'number' THEN family ->> 'decile' END),
        ('obstacle', family ->> 'obstacle')
    ) AS d (dimension, said)
), added AS (
    INSERT INTO indicator_count AS c (run_id, dimension, region, band, persons, with_number, with_account)
    SELECT :run_id, dimension, region, band, count(*), count(*) FILTER (WHERE numbered), count(*) FILTER (WHERE payable)
    FROM said GROUP BY dimension, region, band
    ON CONFLICT (run_id, dimension, region, band) DO UPDATE SET persons = c.persons + excluded.persons,
        with_number = c.with_number + excluded.with_number, with_account = c.with_account + excluded.with_account
)
SELECT max(household_id) AS last FROM page;

-- name: advance_run!
UPDATE indicator_run SET after = :after WHERE run_id = :run_id;

-- name: finish_run^
UPDATE indicator_run SET state = 'done', finished_at = now() WHERE run_id = :run_id
RETURNING (SELECT coalesce(sum(persons), 0)::bigint FROM indicator_count c
           WHERE c.run_id = :run_id AND dimension = 'all') AS persons;

-- name: save_references!
INSERT INTO indicator_reference (dimension, region, band, persons, source)
SELECT dimension, region, band, persons, :source
FROM unnest(:dimensions::text[], :regions::text[], :bands::text[], :persons::bigint[])
    AS g (dimension, region, band, persons)
ON CONFLICT (dimension, region, band) DO UPDATE SET persons = excluded.persons, source = excluded.source;

-- name: indicators
SELECT coalesce(c.dimension, r.dimension) AS dimension, coalesce(c.region, r.region) AS region,
       coalesce(c.band, r.band) AS band, coalesce(c.persons, 0) AS persons, coalesce(c.with_number, 0) AS with_number,
       coalesce(c.with_account, 0) AS with_account, r.persons AS reference, r.source,
       c.persons - b.persons AS change
FROM (SELECT * FROM indicator_count WHERE run_id = :run_id AND dimension = :dimension) c
FULL JOIN (SELECT * FROM indicator_reference
           WHERE dimension = :dimension AND length(region) = :digits) r USING (dimension, region, band)
LEFT JOIN indicator_count b ON b.run_id = :before AND b.dimension = c.dimension AND b.region = c.region
    AND b.band = c.band
WHERE :every OR coalesce(c.region, r.region) LIKE ANY(:patterns::text[])
ORDER BY 2, 3 LIMIT :most;
