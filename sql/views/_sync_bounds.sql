-- The time over which the instances of each account were polled at all, and that over which they were
-- polled completely. Ends are looked for among the polls that began within a day of the newest of their outcome:
-- polls of an account follow one another.
-- @column account the account's name
-- @column first_s start of the first poll, epoch seconds
-- @column last_s end of the newest poll, epoch seconds
-- @column first_whole_s start of the first complete poll, epoch seconds; null: there was none
-- @column last_whole_s end of the newest complete poll, epoch seconds; null: there was none
SELECT
    account_id,
    account,
    epoch(MIN(first_at)) AS first_s,
    epoch(MAX(last_at)) AS last_s,
    epoch(MIN(CASE WHEN outcome = 'complete' THEN first_at END)) AS first_whole_s,
    epoch(MAX(CASE WHEN outcome = 'complete' THEN last_at END)) AS last_whole_s
FROM (
    SELECT
        n.account_id,
        n.account,
        n.outcome,
        n.first_at,
        (
            SELECT MAX(r.finished_at) FROM sync_run r
            WHERE r.account_id = n.account_id AND r.resource = 'instances'
                AND r.outcome = n.outcome AND r.started_at >= instant(epoch(n.newest_at) - {DAY_S})
        ) AS last_at
    FROM (
        SELECT
            a.account_id,
            a.name AS account,
            o.outcome,
            (
                SELECT MIN(r.started_at) FROM sync_run r
                WHERE r.account_id = a.account_id AND r.resource = 'instances'
                    AND r.outcome = o.outcome
            ) AS first_at,
            (
                SELECT MAX(r.started_at) FROM sync_run r
                WHERE r.account_id = a.account_id AND r.resource = 'instances'
                    AND r.outcome = o.outcome
            ) AS newest_at
        FROM account a
        CROSS JOIN (
            SELECT 'complete' AS outcome UNION ALL SELECT 'partial' UNION ALL SELECT 'failed'
            UNION ALL SELECT 'skipped'
        ) o
    ) n
) polled
WHERE first_at IS NOT NULL
GROUP BY account_id, account
