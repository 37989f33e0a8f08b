-- The time over which each account's instances were observed: the start of the first and of the newest
-- complete poll.
-- @column account the account's name
-- @column first_at start of the first complete poll
-- @column last_at start of the newest complete poll
-- @column first_s epoch seconds
-- @column last_s epoch seconds
-- @column first_local first_at by the clocks of the reporting time zone
-- @column last_local last_at by those clocks
SELECT
    a.name AS account,
    h.first_at,
    h.last_at,
    epoch(h.first_at) AS first_s,
    epoch(h.last_at) AS last_s,
    local_of(epoch(h.first_at)) AS first_local,
    local_of(epoch(h.last_at)) AS last_local
FROM _sync_horizon h
JOIN account a ON a.account_id = h.account_id
