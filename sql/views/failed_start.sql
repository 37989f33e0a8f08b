-- One row for each boot that was never seen to come up. `seen` is 'booting' if it was seen to boot
-- and then to be off (it can still have been up between two polls), 'still booting' while it boots, and
-- 'afterwards' if the whole boot fell between two polls and the source then says that it stopped
-- abnormally (status 23). It began at `started_at` and was over not later than `over_at`.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column seen booting, still booting or afterwards
-- @column over_at it was over not later than this; null while it boots
-- @column state_after meaning of the status that was seen next; null: started anew, or still booting
-- @column started_s epoch seconds
-- @column over_s epoch seconds
-- @column started_local started_at by the clocks of the reporting time zone
-- @column over_local over_at by those clocks
-- @column waited_s seconds until then, or up to the horizon while it boots: at most so long
SELECT
    account,
    instance_uuid,
    title,
    CASE
        WHEN evidence <> 'booting' THEN 'afterwards'
        WHEN over_at IS NULL THEN 'still booting'
        ELSE 'booting'
    END AS seen,
    started_at,
    over_at,
    state_after,
    gpu_name,
    gpu_nums,
    epoch(started_at) AS started_s,
    epoch(over_at) AS over_s,
    CASE
        WHEN over_at IS NOT NULL THEN epoch(over_at) - epoch(started_at)
        WHEN horizon < started_at THEN 0
        ELSE epoch(horizon) - epoch(started_at)
    END AS waited_s,
    local_of(epoch(started_at)) AS started_local,
    local_of(epoch(over_at)) AS over_local
FROM (
    SELECT
        a.name AS account,
        u.instance_uuid,
        i.title,
        u.evidence,
        u.started_at,
        u.ended_max AS over_at,
        CASE
            WHEN u.ended_max IS NULL OR h.status IS NULL OR s.is_up THEN NULL
            ELSE COALESCE(s.state, 'unknown')
        END AS state_after,
        h.status AS status_after,
        u.gpu_name,
        u.gpu_nums,
        maybe_until(i, p) AS horizon
    FROM instance_usage u
    JOIN account a ON a.account_id = u.account_id
    JOIN instance i ON is_instance_of(i, u)
    LEFT JOIN instance_history h
        ON is_instance_of(h, u)
        AND h.first_seen_at = u.ended_max
    LEFT JOIN instance_status s ON s.status = h.status
    LEFT JOIN _sync_horizon p ON p.account_id = u.account_id
    WHERE u.kind = 'running' AND u.evidence IN ('booting', 'unseen_run')
) boots
WHERE evidence = 'booting' OR status_after = {STOPPED_ABNORMALLY}
