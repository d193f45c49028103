-- name: select_places!
-- Everyone the rules enrol at the cut and what becomes of them: out by broken conditions, once-only, another programme
-- or old data; the rest are ranked in their area and take the places there are.
INSERT INTO place (cycle_id, beneficiary_id, household_id, decision_id, outcome, area, rank, candidates, places, score,
                   vulnerability, waiting_since, draw)
WITH standing AS MATERIALIZED (
    SELECT h.household_id, h.region, h.taken_at, h.attributes ->> 'accredited_until' AS accredited_until, d.decision_id,
           d.score, d.vulnerability,
           unnest(CASE WHEN d.enrolled_members = '{}' THEN ARRAY[h.household_id] ELSE d.enrolled_members END)
               AS beneficiary_id
    FROM household h
    JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
        AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
    CROSS JOIN LATERAL (
        SELECT decision_id, score, vulnerability, enrolled_members FROM decision
        WHERE programme = :programme AND household_id = h.household_id AND household_version = h.version
          AND overturned_by IS NULL AND enrolled
        LIMIT 1
    ) d
), asked AS (
    SELECT * FROM unnest(:codes::text[], :at_least::int[], :suspend_after::int[], :exit_after::int[])
        AS a (code, at_least, suspend_after, exit_after)
), others AS MATERIALIZED (
    SELECT DISTINCT e.beneficiary_id FROM entitlement e
    JOIN (SELECT DISTINCT ON (y.programme_id) y.cycle_id FROM cycle y
          WHERE y.programme_id = ANY(:exclusions::text[]) AND y.appeal_id IS NULL AND y.supplements IS NULL
          ORDER BY y.programme_id, y.opened_at DESC) latest
        ON latest.cycle_id = e.cycle_id
), judged AS (
    SELECT s.*, n.waiting_since, left(s.region, :area_length) AS area,
           encode(sha256(convert_to(:cycle_id || '/' || s.beneficiary_id, 'UTF8')), 'hex') AS draw,
           CASE WHEN b.gone OR n.state = 'left' THEN 'left'
                WHEN b.suspended THEN 'suspended'
                WHEN :once AND EXISTS (
                    SELECT 1 FROM entitlement e JOIN cycle y USING (cycle_id)
                    WHERE y.programme_id = :programme_id AND e.beneficiary_id = s.beneficiary_id
                      AND e.cycle_id <> :cycle_id) THEN 'had-already'
                WHEN s.beneficiary_id IN (SELECT beneficiary_id FROM others)
                  OR s.household_id IN (SELECT beneficiary_id FROM others) THEN 'excluded'
                WHEN :accredited AND coalesce(s.accredited_until, '') < current_date::text
                  OR s.taken_at < now() - make_interval(months => :recertify_months) THEN 'renewal-due'
                ELSE 'candidate' END AS outcome
    FROM standing s
    CROSS JOIN LATERAL (
        SELECT bool_or(m.in_a_row >= a.suspend_after) AS suspended,
               coalesce(bool_or(m.in_a_row >= a.exit_after), false) AS gone
        FROM (
            SELECT code, count(*) FILTER (WHERE kept_since = 0) AS in_a_row
            FROM (
                SELECT r.subject_id, r.code,
                       sum(CASE WHEN r.value >= a.at_least THEN 1 ELSE 0 END) OVER (
                           PARTITION BY r.subject_id, r.code ORDER BY r.period DESC) AS kept_since
                FROM condition_report r JOIN asked a USING (code)
                WHERE r.programme_id = :programme_id AND r.household_id = s.household_id
            ) reports
            GROUP BY subject_id, code
        ) m JOIN asked a USING (code)
    ) b
    LEFT JOIN LATERAL (
        SELECT state, waiting_since FROM enrolment
        WHERE programme_id = :programme_id AND beneficiary_id = s.beneficiary_id
        LIMIT 1
    ) n ON true
), ranked AS (
    SELECT j.*,
           row_number() OVER (PARTITION BY j.outcome, j.area ORDER BY j.score NULLS LAST,
               j.vulnerability DESC NULLS LAST, j.waiting_since NULLS LAST, j.draw) AS rank,
           count(*) OVER (PARTITION BY j.outcome, j.area) AS candidates,
           coalesce(q.places, :others_places::int) AS places
    FROM judged j
    LEFT JOIN unnest(:areas::text[], :area_places::int[]) AS q (area, places) ON q.area = j.area
)
SELECT :cycle_id, beneficiary_id, household_id, decision_id,
       CASE WHEN outcome <> 'candidate' THEN outcome WHEN places IS NULL OR rank <= places THEN 'selected'
            ELSE 'waiting' END,
       area, CASE WHEN outcome = 'candidate' THEN rank END, CASE WHEN outcome = 'candidate' THEN candidates END,
       places, score, vulnerability, waiting_since, draw
FROM ranked;

-- name: place_leavers!
-- Who had a place and is no longer enrolled by the rules: graduated when only graduation's criteria stand against it.
INSERT INTO place (cycle_id, beneficiary_id, household_id, decision_id, outcome, area, draw)
SELECT :cycle_id, n.beneficiary_id, n.household_id, coalesce(d.decision_id, ''),
       CASE WHEN d.unmet && :graduation::text[] THEN 'graduated' ELSE 'no-longer' END, '', ''
FROM enrolment n
LEFT JOIN LATERAL (
    SELECT d.decision_id, d.unmet FROM household h
    JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
        AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
    JOIN decision d ON d.programme = :programme AND d.household_id = n.household_id AND d.household_version = h.version
        AND d.overturned_by IS NULL
    WHERE h.household_id = n.household_id
    LIMIT 1
) d ON true
WHERE n.programme_id = :programme_id AND n.state IN ('selected', 'waiting', 'suspended', 'excluded', 'renewal-due')
ON CONFLICT DO NOTHING;

-- name: settle_enrolments!
INSERT INTO enrolment (programme_id, beneficiary_id, household_id, state, cycle_id, waiting_since)
SELECT :programme_id, p.beneficiary_id, p.household_id, p.outcome, p.cycle_id,
       CASE WHEN p.outcome = 'waiting' THEN now() END
FROM place p WHERE p.cycle_id = :cycle_id
ON CONFLICT (programme_id, beneficiary_id) DO UPDATE SET
    household_id = excluded.household_id, cycle_id = excluded.cycle_id,
    since = CASE WHEN enrolment.state = excluded.state THEN enrolment.since ELSE now() END,
    waiting_since = CASE WHEN excluded.state = 'waiting' THEN coalesce(enrolment.waiting_since, now()) END,
    state = excluded.state;

-- name: count_selected$
SELECT count(*) FROM place WHERE cycle_id = :cycle_id AND outcome = 'selected';

-- name: announce_page
SELECT beneficiary_id, household_id, decision_id, outcome, area, rank, candidates, places FROM place
WHERE cycle_id = :cycle_id AND outcome <> 'selected' AND beneficiary_id > :after
ORDER BY beneficiary_id LIMIT :most;

-- name: set_cycle_state!
UPDATE cycle SET state = :state, selected = coalesce(:selected::bigint, selected) WHERE cycle_id = :cycle_id;

-- name: place_of^
SELECT p.*, y.programme_id, y.programme, y.name, y.state, h.region
FROM place p JOIN cycle y USING (cycle_id)
JOIN household h ON h.household_id = p.household_id AND h.replaced_by IS NULL
WHERE p.cycle_id = :cycle_id AND p.beneficiary_id = :beneficiary_id;

-- name: places_page
SELECT p.beneficiary_id, p.household_id, p.outcome, p.area, p.rank, p.candidates, p.places, p.score, p.vulnerability
FROM place p JOIN household h ON h.household_id = p.household_id AND h.replaced_by IS NULL
WHERE p.cycle_id = :cycle_id AND p.beneficiary_id > :after AND (:outcome::text IS NULL OR p.outcome = :outcome::text)
  AND (:regions::text[] = '{}' OR EXISTS (
       SELECT 1 FROM unnest(:regions::text[]) AS r WHERE h.region = r OR h.region LIKE r || '.%'))
ORDER BY p.beneficiary_id LIMIT :most;

-- name: places_counts
SELECT outcome, count(*) AS count FROM place WHERE cycle_id = :cycle_id GROUP BY outcome ORDER BY outcome;

-- name: households_regions
SELECT household_id, region, members FROM household WHERE household_id = ANY(:ids::text[]) AND replaced_by IS NULL;

-- name: insert_reports
-- In the order given: whether each is new, and whether it agrees with what stands for its period.
WITH given AS (
    SELECT * FROM unnest(:codes::text[], :subjects::text[], :households::text[], :values::int[])
        WITH ORDINALITY AS g (code, subject_id, household_id, value, place)
), added AS (
    INSERT INTO condition_report (programme_id, code, period, subject_id, household_id, value, reported_by)
    SELECT DISTINCT ON (g.code, g.subject_id) :programme_id, g.code, :period, g.subject_id, g.household_id, g.value,
           :actor
    FROM given g ORDER BY g.code, g.subject_id, g.place
    ON CONFLICT DO NOTHING RETURNING code, subject_id, value
)
SELECT g.code, g.subject_id,
       a.subject_id IS NOT NULL AND g.place = min(g.place) OVER (PARTITION BY g.code, g.subject_id) AS added,
       coalesce(a.value, r.value) = g.value AS agrees
FROM given g
LEFT JOIN added a ON a.code = g.code AND a.subject_id = g.subject_id
LEFT JOIN condition_report r ON r.programme_id = :programme_id AND r.code = g.code AND r.period = :period
    AND r.subject_id = g.subject_id
ORDER BY g.place;

-- name: standing_page
-- Households that stood at the cut, in order; `reached`: the beneficiaries among them who qualify and have a place.
WITH page AS MATERIALIZED (
    SELECT h.household_id, h.version, h.region, h.attributes, h.members FROM household h
    WHERE h.household_id > :after AND h.merged_into IS NULL AND h.kind = :subject
      AND EXISTS (
          SELECT 1 FROM cut_mark c
          WHERE c.cut_id = :cut_id AND c.partition = h.partition
            AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
          OFFSET 0)
    ORDER BY h.household_id LIMIT :most
)
SELECT p.*,
       CASE WHEN d.household_id IS NULL THEN '{}'
            WHEN :chooses THEN coalesce((
                SELECT array_agg(s.beneficiary_id) FROM place s
                WHERE s.cycle_id = :cycle_id AND s.household_id = p.household_id AND s.outcome = 'selected'), '{}')
            WHEN d.enrolled_members = '{}' THEN ARRAY[p.household_id] ELSE d.enrolled_members END AS reached
FROM page p
LEFT JOIN LATERAL (
    SELECT household_id, enrolled_members FROM decision
    WHERE programme = :programme AND household_id = p.household_id AND household_version = p.version
      AND overturned_by IS NULL AND enrolled
    LIMIT 1
) d ON true
ORDER BY p.household_id;

-- name: last_indicators$
SELECT indicators FROM cycle
WHERE programme_id = :programme_id AND indicators IS NOT NULL
  AND opened_at < (SELECT opened_at FROM cycle WHERE cycle_id = :cycle_id)
ORDER BY opened_at DESC LIMIT 1;

-- name: conclude_check!
UPDATE cycle SET indicators = :indicators::jsonb, alarms = :alarms::jsonb, state = :state WHERE cycle_id = :cycle_id;

-- name: lock_cycle^
SELECT cycle_id, programme_id, state, opened_by FROM cycle WHERE cycle_id = :cycle_id FOR UPDATE;

-- name: release_cycle!
UPDATE cycle SET state = 'granting', released_by = :actor WHERE cycle_id = :cycle_id;

-- name: cycle_indicators^
SELECT cycle_id, programme_id, programme, cut_id, chooses, state, indicators, alarms FROM cycle
WHERE cycle_id = :cycle_id;

-- name: cycles_on_cut
SELECT cycle_id FROM cycle WHERE cut_id = :cut_id;

-- name: reached_page
-- Households that stood at the cut, in order; `reached`: who of them is owed something by a cycle on it.
WITH page AS MATERIALIZED (
    SELECT h.household_id, h.version, h.region, h.attributes, h.members FROM household h
    WHERE h.household_id > :after AND h.merged_into IS NULL AND h.kind = 'family'
      AND EXISTS (
          SELECT 1 FROM cut_mark c
          WHERE c.cut_id = :cut_id AND c.partition = h.partition
            AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
          OFFSET 0)
    ORDER BY h.household_id LIMIT :most
)
SELECT p.*, coalesce((
    SELECT array_agg(DISTINCT e.beneficiary_id) FROM entitlement e
    WHERE e.cycle_id = ANY(:cycles::text[]) AND e.entitlement_id IS NOT NULL
      AND e.beneficiary_id = ANY(ARRAY[p.household_id] || ARRAY(
          SELECT member ->> 'member_id' FROM jsonb_array_elements(p.members) AS member))), '{}') AS reached
FROM page p ORDER BY p.household_id;
