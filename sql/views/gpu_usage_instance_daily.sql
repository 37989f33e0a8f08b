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
SELECT
    a.name AS account,
    p.day,
    p.instance_uuid,
    i.title,
    p.gpu_uuid,
    p.gpu_name,
    p.running_s,
    p.running_min_s,
    p.running_max_s,
    p.gpu_s,
    p.gpu_min_s,
    p.gpu_max_s
FROM (
    SELECT
        account_id,
        day,
        instance_uuid,
        gpu_uuid,
        gpu_name,
        CAST(SUM(running_s) AS BIGINT) AS running_s,
        CAST(SUM(running_min_s) AS BIGINT) AS running_min_s,
        CAST(SUM(running_max_s) AS BIGINT) AS running_max_s,
        CAST(SUM(running_s * gpu_nums) AS BIGINT) AS gpu_s,
        CAST(SUM(running_min_s * gpu_nums) AS BIGINT) AS gpu_min_s,
        CAST(SUM(running_max_s * gpu_nums) AS BIGINT) AS gpu_max_s
    FROM usage_part
    WHERE kind = 'running'
    GROUP BY account_id, day, instance_uuid, gpu_uuid, gpu_name
) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON i.account_id = p.account_id AND i.instance_uuid = p.instance_uuid
