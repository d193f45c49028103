-- name: insert_declaration^
INSERT INTO declaration (declaration_id, programme_id, name, regions, started_on, cut_id, reason, declared_by)
VALUES (:declaration_id, :programme_id, :name, :regions, :started_on, :cut_id, :reason, :actor)
ON CONFLICT DO NOTHING RETURNING declaration_id;

-- name: lock_declaration^
SELECT * FROM declaration WHERE declaration_id = :declaration_id FOR UPDATE;

-- name: approve_declaration!
UPDATE declaration SET approved_by = :actor, approved_at = now(), cycle_id = :cycle_id
WHERE declaration_id = :declaration_id;

-- name: declarations
SELECT * FROM declaration ORDER BY declared_at DESC LIMIT 1000;

-- name: count_at_cut$
SELECT count(*) FROM household h
JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
WHERE h.kind = 'family';

-- name: undecided_residents
-- Nothing is joined, so that households come by their key and a page reads no more than it gives.
SELECT h.household_id, h.version, h.region, h.attributes, h.members FROM household h
WHERE h.household_id > :after AND h.merged_into IS NULL AND h.kind = :subject
  AND EXISTS (SELECT 1 FROM unnest(:regions::text[]) AS r WHERE h.region = r OR h.region LIKE r || '.%')
  AND EXISTS (
      SELECT 1 FROM cut_mark c
      WHERE c.cut_id = :cut_id AND c.partition = h.partition
        AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
      OFFSET 0)
  AND NOT EXISTS (
      SELECT 1 FROM decision d
      WHERE d.programme = :programme AND d.household_id = h.household_id AND d.household_version = h.version
      OFFSET 0)
ORDER BY h.household_id LIMIT :most;

-- name: standing_residents^
SELECT count(*) AS decided, coalesce(sum(d.people) FILTER (WHERE d.enrolled), 0)::bigint AS enrolled
FROM household h
JOIN cut_mark c ON c.cut_id = :cut_id AND c.partition = h.partition
    AND h.sequence < c.sequence AND (h.replaced_by IS NULL OR h.replaced_by > c.sequence)
CROSS JOIN LATERAL (
    SELECT enrolled, greatest(cardinality(enrolled_members), 1) AS people FROM decision
    WHERE programme = :programme AND household_id = h.household_id AND household_version = h.version
      AND overturned_by IS NULL
    LIMIT 1
) d
WHERE EXISTS (SELECT 1 FROM unnest(:regions::text[]) AS r WHERE h.region = r OR h.region LIKE r || '.%');

-- name: begin_granting!
UPDATE cycle SET state = 'granting', decided = :decided, enrolled = :enrolled, selected = :enrolled
WHERE cycle_id = :cycle_id;
