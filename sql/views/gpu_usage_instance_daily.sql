-- Running time by instance, GPU model and day of the reporting time zone: an instance that changed its
-- GPUs has a row for each model. `gpu_*_s` are seconds times the number of GPUs: rented card-time, not
-- utilisation. Maxima of parts that cannot all be true at once are added up as they are.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column running_s seconds, estimate
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
SELECT
    a.name AS account,
    p.day,
    p.instance_uuid,
    i.title,
    p.gpu_uuid,
    p.gpu_name,
    times(p),
    epoch(h.last_at) AS observed_until_s,
    hours_of_times(p),
    periods_of(p.day)
FROM running_by([account_id, day, instance_uuid, gpu_uuid?, gpu_name?]) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN _sync_horizon h ON h.account_id = p.account_id
