-- The start of the first and of the newest complete poll of the instances: what still runs is counted
-- up to the newest, the horizon. What other views build on.
-- @column first_at start of the first complete poll
-- @column last_at start of the newest complete poll
SELECT account_id, MIN(started_at) AS first_at, MAX(started_at) AS last_at
FROM sync_run
WHERE resource = 'instances' AND outcome = 'complete'
GROUP BY account_id
