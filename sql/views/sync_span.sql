-- The time over which each account's instances were observed: the start of the first and of the newest
-- complete poll.
-- @column account the account's name
-- @column first_at start of the first complete poll
-- @column last_at start of the newest complete poll
-- @column first_s epoch seconds
-- @column last_s epoch seconds
SELECT
    a.name AS account,
    h.first_at,
    h.last_at,
    epoch(h.first_at) AS first_s,
    epoch(h.last_at) AS last_s
FROM _sync_horizon h
JOIN account a ON a.account_id = h.account_id
