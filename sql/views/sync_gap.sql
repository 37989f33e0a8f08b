-- Times in which nothing was observed: successive complete polls of the instance list further apart
-- than three times the usual distance, and than ten minutes. Running time in a gap is bounded, not
-- known. Usual is the median distance, from start to start, among 500 to 999 successive polls around
-- (of every nineteenth, which is enough and fast), so that another interval soon counts; among fewer
-- than five distances none is usual.
-- @column account the account's name
-- @column gap_from end of the complete poll before the gap
-- @column gap_to start of the next one
-- @column gap_from_s epoch seconds
-- @column gap_to_s epoch seconds
-- @column gap_s length, seconds
-- @column gap_hours length, hours
-- @column gap_from_local gap_from by the clocks of the reporting time zone
-- @column gap_to_local gap_to by those clocks
WITH counted AS (
    SELECT
        r.account_id,
        -- fewer polls than two eras have are one: a part of an era says less of what is usual
        CASE WHEN r.polls_before < 2 * {ERA_POLLS} - 1 THEN 1 ELSE (r.polls_before + 1) / {ERA_POLLS} END AS eras
    FROM _sync_horizon h
    JOIN sync_run r
        ON r.account_id = h.account_id AND is_whole_poll(r)
        AND r.started_at = h.last_at
),
distances AS (
    SELECT
        n.account_id,
        era_of(r, n) AS era,
        r.step_s
    FROM counted n
    CROSS JOIN sync_run r
    -- a sample is enough for a median, and has an index of its own
    WHERE n.eras > 1 AND r.account_id = n.account_id AND r.resource = 'instances'
        AND r.polls_before = {SAMPLE_STEP} * (r.polls_before / {SAMPLE_STEP}) AND r.step_s IS NOT NULL
    UNION ALL
    SELECT n.account_id, 0, r.step_s
    FROM counted n
    CROSS JOIN sync_run r
    -- all of them: there are too few to leave any out
    WHERE n.eras = 1 AND r.account_id = n.account_id AND r.resource = 'instances'
        AND r.outcome = 'complete' AND r.step_s IS NOT NULL
),
usual AS (
    SELECT
        account_id,
        era,
        -- the median is the largest of the lower half
        MAX(CASE WHEN many >= 5 AND 2 * place <= many + 1 THEN step_s END) AS usual_s
    FROM (
        SELECT
            account_id,
            era,
            step_s,
            ROW_NUMBER() OVER (PARTITION BY account_id, era ORDER BY step_s) AS place,
            COUNT(*) OVER (PARTITION BY account_id, era) AS many
        FROM distances
    ) ranked
    GROUP BY account_id, era
)
SELECT
    a.name AS account,
    instant(epoch(g.started_at) - g.gap_s) AS gap_from,
    g.started_at AS gap_to,
    epoch(g.started_at) - g.gap_s AS gap_from_s,
    epoch(g.started_at) AS gap_to_s,
    g.gap_s,
    in_hours(g.gap_s) AS gap_hours,
    local_of(epoch(g.started_at) - g.gap_s) AS gap_from_local,
    local_of(epoch(g.started_at)) AS gap_to_local
FROM counted n
JOIN account a ON a.account_id = n.account_id
JOIN sync_run g ON g.account_id = n.account_id AND g.resource = 'instances'
LEFT JOIN usual u
    ON u.account_id = g.account_id
    AND u.era = era_of(g, n)
WHERE is_gap(g.gap_s, u.usual_s)
