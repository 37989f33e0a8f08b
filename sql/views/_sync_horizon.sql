-- The start of the first and of the newest complete poll of the instances: what still runs is counted
-- up to the newest, the horizon. Other views build on this one. Each row is one look into an index, however
-- many polls there were; found first, once: else Postgres asks it anew for each row that it is joined to.
-- @column first_at start of the first complete poll
-- @column last_at start of the newest complete poll
WITH polled AS MATERIALIZED (
    SELECT
        a.account_id,
        (
            SELECT MIN(r.started_at) FROM sync_run r
            WHERE r.account_id = a.account_id AND is_whole_poll(r)
        ) AS first_at,
        (
            SELECT MAX(r.started_at) FROM sync_run r
            WHERE r.account_id = a.account_id AND is_whole_poll(r)
        ) AS last_at
    FROM account a
)
SELECT account_id, first_at, last_at
FROM polled
WHERE first_at IS NOT NULL
