-- Open stretches (few) cut into days, up to the horizon: the start of the newest complete poll, for a
-- missing instance its last sighting.
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column night_s of running_s, in the first eight hours of the day
-- @column usage_started_s start of the stretch, epoch seconds
-- @column started_s start of the part, epoch seconds
-- @column evidence of the stretch
SELECT
    account_id,
    day,
    instance_uuid,
    usage_no,
    kind,
    seen_s AS running_s,
    seen_s AS running_min_s,
    ends_max_s - begins_s AS running_max_s,
    in_night(begins_s, seen_s, night_ends_s) AS night_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type,
    image_uuid,
    evidence,
    usage_started_s,
    begins_s AS started_s
FROM (
    SELECT
        cut.*,
        -- what boots may never come up: until it is seen up, nothing of it is sure
        CASE
            WHEN cut.evidence = 'booting' OR cut.ends_s <= cut.begins_s THEN 0
            ELSE cut.ends_s - cut.begins_s
        END AS seen_s
    FROM (
        SELECT
            o.account_id,
            c.day,
            o.instance_uuid,
            o.usage_no,
            o.kind,
            later(o.started_s, c.starts_s) AS begins_s,
            earlier(o.horizon_s, c.ends_s) AS ends_s,
            earlier(o.horizon_max_s, c.ends_s) AS ends_max_s,
            night_ends_s(c.starts_s) AS night_ends_s,
            o.gpu_uuid,
            o.gpu_name,
            o.gpu_nums,
            o.charging_type,
            o.image_uuid,
            o.evidence,
            o.started_s AS usage_started_s
        FROM _usage_open o
        CROSS JOIN calendar_day c
        WHERE c.starts_s < o.horizon_max_s AND c.ends_s > o.started_s
            AND c.starts_s > o.started_s - 172800  -- for the index: no day is longer than two
            AND o.started_s < o.horizon_max_s
    ) cut
) parts
