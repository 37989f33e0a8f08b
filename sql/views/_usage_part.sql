-- Every stretch cut into days: the stored parts of closed stretches, and those of open ones. The base
-- of all daily views of time.
-- @column usage_started_s start of the stretch, epoch seconds
-- @column started_s start of the part, epoch seconds
-- @column evidence of the stretch
-- @column running_s seconds, estimate
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
SELECT
    columns_of_usage(usage_day),
    epoch(usage_started_at) AS usage_started_s,
    epoch(started_at) AS started_s
FROM usage_day
UNION ALL
SELECT
    columns_of_usage(_usage_open_part),
    usage_started_s,
    started_s
FROM _usage_open_part
