-- From when to when the instances of each account were polled at all, and from when to when with
-- complete polls.
-- @column account the account's name
-- @column first_s start of the first poll, epoch seconds
-- @column last_s end of the newest poll, epoch seconds
-- @column first_whole_s start of the first complete poll, epoch seconds; null: there was none
-- @column last_whole_s end of the newest complete poll, epoch seconds; null: there was none
SELECT
    r.account_id,
    a.name AS account,
    epoch(MIN(r.started_at)) AS first_s,
    epoch(MAX(r.finished_at)) AS last_s,
    epoch(MIN(CASE WHEN r.outcome = 'complete' THEN r.started_at END)) AS first_whole_s,
    epoch(MAX(CASE WHEN r.outcome = 'complete' THEN r.finished_at END)) AS last_whole_s
FROM sync_run r
JOIN account a ON a.account_id = r.account_id
WHERE r.resource = 'instances'
GROUP BY r.account_id, a.name
