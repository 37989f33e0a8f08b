-- Every stretch cut into days: the stored parts of closed stretches, and open stretches (few) cut
-- here, up to the horizon. The base of all daily views.
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
SELECT
    account_id,
    day,
    instance_uuid,
    usage_no,
    kind,
    running_s,
    running_min_s,
    running_max_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type
FROM usage_day
UNION ALL
SELECT
    account_id,
    day,
    instance_uuid,
    usage_no,
    kind,
    CASE WHEN is_booting = 1 OR ends_s <= begins_s THEN 0 ELSE ends_s - begins_s END,
    CASE WHEN is_booting = 1 OR ends_s <= begins_s THEN 0 ELSE ends_s - begins_s END,
    ends_max_s - begins_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type
FROM (
    SELECT
        o.account_id,
        c.day,
        o.instance_uuid,
        o.usage_no,
        o.kind,
        CASE WHEN o.evidence = 'booting' THEN 1 ELSE 0 END AS is_booting,
        CASE WHEN o.started_s > c.starts_s THEN o.started_s ELSE c.starts_s END AS begins_s,
        CASE WHEN o.horizon_s < c.ends_s THEN o.horizon_s ELSE c.ends_s END AS ends_s,
        CASE WHEN o.horizon_max_s < c.ends_s THEN o.horizon_max_s ELSE c.ends_s END AS ends_max_s,
        o.gpu_uuid,
        o.gpu_name,
        o.gpu_nums,
        o.charging_type
    FROM (
        SELECT
            u.account_id,
            u.instance_uuid,
            u.usage_no,
            u.kind,
            u.evidence,
            u.gpu_uuid,
            u.gpu_name,
            u.gpu_nums,
            u.charging_type,
            epoch(u.started_at) AS started_s,
            epoch(COALESCE(i.last_seen_at, h.last_at)) AS horizon_s,
            epoch(COALESCE(i.missing_since, i.last_seen_at, h.last_at)) AS horizon_max_s
        FROM instance_usage u
        JOIN instance i ON i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid
        LEFT JOIN sync_horizon h ON h.account_id = u.account_id
        WHERE u.ended_at IS NULL
    ) o
    JOIN calendar_day c ON c.starts_s < o.horizon_max_s AND c.ends_s > o.started_s
    WHERE o.started_s < o.horizon_max_s
) parts
