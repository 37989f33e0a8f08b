-- Times in which nothing was observed: successive complete polls of the instance list more than ten
-- minutes apart. Running time in a gap is bounded, not known.
-- @column account the account's name
-- @column gap_from end of the complete poll before the gap
-- @column gap_to start of the next one
-- @column gap_from_s epoch seconds
-- @column gap_to_s epoch seconds
-- @column gap_s length, seconds
SELECT
    account,
    gap_from,
    gap_to,
    epoch(gap_from) AS gap_from_s,
    epoch(gap_to) AS gap_to_s,
    epoch(gap_to) - epoch(gap_from) AS gap_s
FROM (
    SELECT
        a.name AS account,
        LAG(r.finished_at) OVER (PARTITION BY r.account_id ORDER BY r.started_at) AS gap_from,
        r.started_at AS gap_to
    FROM sync_run r
    JOIN account a ON a.account_id = r.account_id
    WHERE r.resource = 'instances' AND r.outcome = 'complete'
) polls
WHERE gap_from IS NOT NULL AND epoch(gap_to) - epoch(gap_from) > 600
