-- Entries [%(first)s, %(end)s) of the search bench with their blocks and postings: what `entry` of search_bench.py makes and
-- the indexer finds in it, in one statement. %(first)s and %(end)s are whole blocks.
WITH numbered AS (
    SELECT i, i / 5 AS number, (i %% 5)::integer AS step, i %% 5 = 4 AND i / 5 %% %(read_every)s = 0 AS is_read
    FROM generate_series(%(first)s::bigint, %(end)s::bigint - 1) AS i
), ids AS (
    SELECT n.*, bench_id('household', number) AS household, bench_id('decision', number) AS decision,
           bench_id('entitlement', number) AS entitlement, left(bench_id('payment', number), 30) AS payment,
           bench_id('cycle', number %% %(cycles)s) AS cycle, 'programme-' || number %% %(cycles)s %% %(programmes)s AS programme,
           format('%%s.%%s.%%s', 31 + number %% 9, lpad((1 + number %% 20)::text, 2, '0'), lpad((1 + number %% 30)::text, 2, '0'))
               AS region,
           'bank-' || number %% %(banks)s AS bank, bench_id('event', i) AS event_id, bench_id('event', i - 1) AS cause,
           format('2026-%%s-01T10:%%s:%%s.000000Z', lpad((1 + number %% 12)::text, 2, '0'), lpad((number %% 60)::text, 2, '0'),
                  lpad((i %% 60)::text, 2, '0')) AS moment,
           CASE WHEN is_read THEN 'registry.activity' ELSE (%(topics)s::text[])[step + 1] END AS topic,
           CASE WHEN is_read THEN %(read)s ELSE (%(types)s::text[])[step + 1] END AS type
    FROM numbered n
), made AS MATERIALIZED (
    SELECT d.*, topic || '/' || number %% 8 AS stream,
           CASE WHEN is_read THEN 'person:reader-' || number / %(read_every)s %% %(readers)s
                ELSE 'service:' || split_part(topic, '.', 1) END AS actor
    FROM ids d
), entries AS (
    INSERT INTO entry (leaf_index, leaf, topic, partition, kafka_offset, stream, sequence, event_id, type, subject, event_time)
    SELECT i, convert_to(format(
               '{"specversion":"1.0","id":"%%s","source":"/salur/%%s","type":"%%s","subject":"%%s","time":"%%s","actor":"%%s",'
               '"cause":"%%s","data":%%s,"stream":"%%s","sequence":%%s}',
               event_id, split_part(topic, '.', 1), type, household, moment, actor, cause,
               CASE WHEN is_read THEN
                   json_build_object('subject', household, 'kind', 'event-field', 'field', 'account_holder', 'reason', 'case')
               WHEN step = 0 THEN json_build_object('household_id', household, 'region', region)
               WHEN step = 1 THEN
                   json_build_object('household_id', household, 'decision_id', decision, 'programme_id', programme)
               WHEN step = 2 THEN
                   json_build_object('cycle_id', cycle, 'entitlement_id', entitlement, 'beneficiary_id', household,
                                     'region', region, 'programme_id', programme, 'amount_minor', 75000000)
               ELSE
                   json_build_object('cycle_id', cycle, 'payment_id', payment, 'entitlement_id', entitlement, 'bank', bank,
                                     'instruction_id', payment || '-001', 'fund_id', 'central', 'amount_minor', 75000000,
                                     'currency', 'IDR')
               END, stream, i + 1), 'UTF8'),
           topic, 0, i, stream, i + 1, event_id, type, household, moment
    FROM made
), blocks AS (
    INSERT INTO search_block (block, entries, earliest, latest, own_region)
    SELECT i / search_width(), count(*), min(moment::timestamptz), max(moment::timestamptz),
           array_agg((i %% search_width())::smallint ORDER BY i) FILTER (WHERE step IN (0, 2))
    FROM made GROUP BY 1
)
INSERT INTO search_posting (term, block, places)
SELECT t.term, m.i / search_width(), array_agg((m.i %% search_width())::smallint ORDER BY m.i)
FROM made m CROSS JOIN LATERAL (
    SELECT unnest(ARRAY['topic=' || topic, 'type=' || type, 'subject=' || household, 'actor=' || actor, 'cause=' || cause])
    UNION ALL
    SELECT unnest(ARRAY['household=' || household, 'region=' || left(region, 2), 'region=' || left(region, 5),
                        'region=' || region])
    WHERE NOT is_read
    UNION ALL
    SELECT unnest(ARRAY['programme=' || programme]) WHERE NOT is_read AND step > 0
    UNION ALL
    SELECT 'decision=' || decision WHERE step = 1
    UNION ALL
    SELECT unnest(ARRAY['entitlement=' || entitlement, 'cycle=' || cycle, 'fund=central']) WHERE NOT is_read AND step > 1
    UNION ALL
    SELECT unnest(ARRAY['payment=' || payment, 'bank=' || bank]) WHERE NOT is_read AND step > 2
) AS t (term)
GROUP BY 1, 2
