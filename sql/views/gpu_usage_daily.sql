-- Running time by GPU model and day of the reporting time zone, over all instances of an account.
-- `gpu_*_s` are seconds times the number of GPUs: rented card-time, not utilisation. Maxima of parts
-- that cannot all be true at once are added up as they are.
-- @column account the account's name
-- @column running_s instance-seconds, estimate
-- @column running_min_s instance-seconds, at least
-- @column running_max_s instance-seconds, at most
-- @column gpu_s card-seconds, estimate
-- @column gpu_min_s card-seconds, at least
-- @column gpu_max_s card-seconds, at most
SELECT
    a.name AS account,
    p.day,
    p.gpu_uuid,
    p.gpu_name,
    CAST(SUM(p.running_s) AS BIGINT) AS running_s,
    CAST(SUM(p.running_min_s) AS BIGINT) AS running_min_s,
    CAST(SUM(p.running_max_s) AS BIGINT) AS running_max_s,
    CAST(SUM(p.running_s * p.gpu_nums) AS BIGINT) AS gpu_s,
    CAST(SUM(p.running_min_s * p.gpu_nums) AS BIGINT) AS gpu_min_s,
    CAST(SUM(p.running_max_s * p.gpu_nums) AS BIGINT) AS gpu_max_s
FROM usage_part p
JOIN account a ON a.account_id = p.account_id
WHERE p.kind = 'running'
GROUP BY a.name, p.day, p.gpu_uuid, p.gpu_name
