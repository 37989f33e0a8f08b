-- From when to when each account's instances were observed: the start of the first and of the newest
-- complete poll.
-- @column account the account's name
-- @column first_at start of the first complete poll
-- @column last_at start of the newest complete poll
-- @column first_s epoch seconds
-- @column last_s epoch seconds
SELECT
    a.name AS account,
    MIN(r.started_at) AS first_at,
    MAX(r.started_at) AS last_at,
    epoch(MIN(r.started_at)) AS first_s,
    epoch(MAX(r.started_at)) AS last_s
FROM sync_run r
JOIN account a ON a.account_id = r.account_id
WHERE r.resource = 'instances' AND r.outcome = 'complete'
GROUP BY a.name
