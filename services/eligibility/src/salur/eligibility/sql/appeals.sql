-- name: decision_in_force^
SELECT d.decision_id, d.programme, d.household_id, d.household_version AS version, d.decided_at, d.amount_minor,
       d.components, d.corrections, h.region, h.attributes, h.members, h.partition, h.sequence, h.replaced_by
FROM decision d
JOIN household h ON h.household_id = d.household_id AND h.version = d.household_version
WHERE d.decision_id = :decision_id AND d.household_id = :household_id AND d.overturned_by IS NULL;

-- name: insert_appeal^
INSERT INTO appeal (appeal_id, decision_id, programme, programme_id, household_id, household_version, region, grounds,
                    statement, evidence, state, opened_by, due_at)
VALUES (:appeal_id, :decision_id, :programme, :programme_id, :household_id, :version, :region, :grounds, :statement,
        :evidence::jsonb, 'open', :actor, now() + make_interval(days => :review_days))
ON CONFLICT DO NOTHING RETURNING due_at;

-- name: lock_appeal^
SELECT * FROM appeal WHERE appeal_id = :appeal_id FOR UPDATE;

-- name: appeal^
SELECT * FROM appeal WHERE appeal_id = :appeal_id;

-- name: close_appeal!
UPDATE appeal SET state = :state, reviewed_by = :actor, reviewed_at = now(), reason = :reason,
    new_decision_id = :new_decision_id, back_pay_minor = :back_pay_minor
WHERE appeal_id = :appeal_id;

-- name: overturn_decision!
UPDATE decision SET overturned_by = :new_decision_id
WHERE household_id = :household_id AND decision_id = :decision_id;

-- name: cycles_paid_by
-- The cycles that paid, or did not pay, by a decision: its programme version, and its household version at their cut.
SELECT y.cycle_id, y.programme_id, y.programme, p.version AS programme_version, y.name, y.cut_id, y.currency, y.opened_at
FROM cycle y
JOIN programme p ON p.number = y.programme
JOIN cut_mark c ON c.cut_id = y.cut_id AND c.partition = :partition AND :sequence < c.sequence
    AND (:replaced_by::bigint IS NULL OR :replaced_by::bigint > c.sequence)
WHERE y.programme = :programme AND y.appeal_id IS NULL AND y.supplements IS NULL
  AND (y.regions = '{}' OR EXISTS (
       SELECT 1 FROM unnest(y.regions) AS r WHERE :region = r OR :region LIKE r || '.%'))
ORDER BY y.opened_at;

-- name: appeals_page
SELECT appeal_id, decision_id, programme_id, household_id, region, grounds, evidence, state, opened_by, opened_at,
       due_at, reviewed_by, reviewed_at, reason, new_decision_id, back_pay_minor
FROM appeal
WHERE appeal_id > :after AND (:state::text IS NULL OR state = :state::text)
  AND (:regions::text[] = '{}' OR EXISTS (
       SELECT 1 FROM unnest(:regions::text[]) AS r WHERE region = r OR region LIKE r || '.%'))
ORDER BY appeal_id LIMIT :most;

-- name: appeal_statistics
SELECT a.programme_id, left(a.region, 2) AS province, a.grounds, count(*) AS appeals,
       count(*) FILTER (WHERE a.state = 'open') AS open,
       count(*) FILTER (WHERE a.state = 'open' AND a.due_at < now()) AS overdue,
       count(*) FILTER (WHERE a.state = 'upheld') AS upheld,
       count(*) FILTER (WHERE a.state = 'dismissed') AS dismissed,
       coalesce(sum(a.back_pay_minor), 0)::bigint AS back_pay_minor,
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY a.reviewed_at - a.opened_at)) / 86400
           AS median_days
FROM appeal a
WHERE :regions::text[] = '{}' OR EXISTS (
      SELECT 1 FROM unnest(:regions::text[]) AS r WHERE a.region = r OR a.region LIKE r || '.%')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: made_for^
SELECT d.decision_id, d.components, d.amount_minor, p.version AS programme_version
FROM decision d JOIN programme p ON p.number = d.programme
WHERE d.household_id = :household_id AND d.occasion = :occasion;
