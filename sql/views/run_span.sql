-- One row for each run: a stretch of running time that counts as one, with what it ran on. Its
-- three ends are those of `usage_span`. A boot that never came up is a run of at least 0 seconds with evidence 'booting'.
-- A change of GPU or charging without a new start begins a run of its own.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column is_open whether it still runs
-- @column started_s epoch seconds
-- @column ended_s epoch seconds; null while open
-- @column running_s seconds, estimate; open: up to the horizon
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column gpu_s card-seconds, estimate
-- @column gpu_min_s card-seconds, at least
-- @column gpu_max_s card-seconds, at most
-- @column observed_until_s until when the account was observed: start of its newest complete poll, epoch seconds
-- @column hours running time in hours, estimate
-- @column hours_min at least
-- @column hours_max at most
-- @column gpu_hours card-hours, estimate
-- @column gpu_hours_min at least
-- @column gpu_hours_max at most
-- @column started_local its start by the clocks of the reporting time zone
-- @column ended_local its end by those clocks; null while open
SELECT
    u.account,
    u.instance_uuid,
    u.title,
    u.usage_no,
    u.evidence,
    flag(u.ended_s IS NULL) AS is_open,
    u.started_at,
    u.ended_min,
    u.ended_at,
    u.ended_max,
    u.started_s,
    u.ended_s,
    u.running_s,
    u.running_min_s,
    u.running_max_s,
    u.gpu_s,
    u.gpu_min_s,
    u.gpu_max_s,
    u.gpu_uuid,
    u.gpu_name,
    u.gpu_nums,
    u.charging_type,
    u.observed_until_s,
    u.hours,
    u.hours_min,
    u.hours_max,
    u.gpu_hours,
    u.gpu_hours_min,
    u.gpu_hours_max,
    u.started_local,
    u.ended_local
FROM usage_span u
WHERE u.is_run
