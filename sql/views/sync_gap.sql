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
SELECT
    a.name AS account,
    gap_from,
    gap_to,
    epoch(gap_from) AS gap_from_s,
    epoch(gap_to) AS gap_to_s,
    gap_s
FROM (
    SELECT
        account_id,
        gap_from,
        gap_to,
        gap_s,
        MAX(CASE WHEN is_sample = 1 AND many >= 5 AND 2 * place <= many + 1 THEN step_s END)
            OVER (PARTITION BY account_id, era) AS usual_s
    FROM (
        SELECT
            account_id,
            era,
            gap_from,
            gap_to,
            gap_s,
            step_s,
            is_sample,
            ROW_NUMBER() OVER (PARTITION BY account_id, era, is_sample ORDER BY step_s) AS place,
            COUNT(*) OVER (PARTITION BY account_id, era, is_sample) AS many
        FROM (
            SELECT
                p.account_id,
                CASE WHEN p.number < 500 * n.eras THEN p.number / 500 ELSE n.eras - 1 END AS era,
                p.gap_from,
                p.gap_to,
                epoch(p.gap_to) - epoch(p.gap_from) AS gap_s,
                epoch(p.gap_to) - epoch(p.step_from) AS step_s,
                CASE WHEN n.eras = 1 OR p.number = 19 * (p.number / 19) THEN 1 ELSE 0 END AS is_sample
            FROM (
                SELECT
                    account_id,
                    LAG(finished_at) OVER (PARTITION BY account_id ORDER BY started_at) AS gap_from,
                    LAG(started_at) OVER (PARTITION BY account_id ORDER BY started_at) AS step_from,
                    started_at AS gap_to,
                    ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY started_at) - 1 AS number
                FROM sync_run
                WHERE resource = 'instances' AND outcome = 'complete'
            ) p
            JOIN (
                SELECT
                    account_id,
                    CASE WHEN COUNT(*) < 1000 THEN 1 ELSE COUNT(*) / 500 END AS eras
                FROM sync_run
                WHERE resource = 'instances' AND outcome = 'complete'
                GROUP BY account_id
            ) n ON n.account_id = p.account_id
            WHERE p.gap_from IS NOT NULL
        ) distances
        WHERE is_sample = 1 OR gap_s > 600
    ) ranked
) usual
JOIN account a ON a.account_id = usual.account_id
WHERE gap_s > 600 AND gap_s > 3 * COALESCE(usual_s, 0)
