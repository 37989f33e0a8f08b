-- One row for each stretch of time in which an instance had a timer: since when, for which moment, and
-- until when it was set so. It was set after `not_before` and not later than `not_after`. What became of
-- it: `current`, `moved` to another moment, `cleared`, `due` (that moment had come), or `gone` before.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column shutdown_time when it was to be shut down
-- @column not_before it was set after this moment; null: it was set before we looked
-- @column not_after and not later than this
-- @column until when it was first seen otherwise, or the instance was gone; null: it is set so
-- @column became current, moved, cleared, due or gone
-- @column shutdown_time_s epoch seconds
-- @column not_before_s epoch seconds
-- @column not_after_s epoch seconds
-- @column until_s epoch seconds
-- @column shutdown_time_local shutdown_time by the clocks of the reporting time zone
-- @column not_after_local not_after by the clocks of the reporting time zone
-- @column until_local until by the clocks of the reporting time zone
SELECT
    account,
    instance_uuid,
    title,
    shutdown_time,
    not_before,
    not_after,
    until,
    CASE
        WHEN until IS NULL THEN 'current'
        WHEN until >= shutdown_time THEN 'due'
        WHEN next_version IS NULL THEN 'gone'
        WHEN is_moved = 1 THEN 'moved'
        ELSE 'cleared'
    END AS became,
    epoch(shutdown_time) AS shutdown_time_s,
    epoch(not_before) AS not_before_s,
    epoch(not_after) AS not_after_s,
    epoch(until) AS until_s,
    local_of(epoch(shutdown_time)) AS shutdown_time_local,
    local_of(epoch(not_after)) AS not_after_local,
    local_of(epoch(until)) AS until_local
FROM (
    SELECT
        t.*,
        n.version AS next_version,
        CASE WHEN timer_of(n) IS NULL THEN 0 ELSE 1 END AS is_moved,
        COALESCE(n.first_seen_at, t.gone_at) AS until
    FROM (
        SELECT
            h.account_id,
            a.name AS account,
            h.instance_uuid,
            i.title,
            i.gone_at,
            h.shutdown_time,
            h.after_at AS not_before,
            h.first_seen_at AS not_after,
            (
                SELECT x.version
                FROM instance_history x
                WHERE is_instance_of(x, h) AND x.version > h.version
                    AND NOT COALESCE(same(timer_of(x), h.shutdown_time), FALSE)
                ORDER BY x.version
                LIMIT 1
            ) AS next_one
        FROM instance_history h
        JOIN account a ON a.account_id = h.account_id
        JOIN instance i ON is_instance_of(i, h)
        LEFT JOIN instance_history p ON is_instance_of(p, h) AND p.version = h.version - 1
        WHERE timer_of(h) IS NOT NULL AND NOT COALESCE(same(timer_of(p), h.shutdown_time), FALSE)
    ) t
    LEFT JOIN instance_history n ON is_instance_of(n, t) AND n.version = t.next_one
) timers
