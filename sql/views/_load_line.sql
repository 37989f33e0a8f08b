-- Running time of instances as lines of card-seconds, and as lines of how samples saw it used: the base of what
-- tells busy GPUs from idle ones. Lines of either sort have 0 in the columns of the other.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column gpu_s card-seconds rented, estimate
-- @column gpu_min_s card-seconds rented, at least
-- @column gpu_max_s card-seconds rented, at most
-- @column seen_s card-seconds that were sampled
-- @column busy_s of them, those in which the GPU was busy
-- @column percent_s sampled card-seconds times their utilisation in percent
SELECT
    a.name AS account,
    p.account_id,
    p.day,
    p.instance_uuid,
    i.title,
    p.project,
    p.owner,
    p.cost_centre,
    p.gpu_uuid,
    p.gpu_name,
    CAST(p.running_s * COALESCE(p.gpu_nums, 0) AS BIGINT) AS gpu_s,
    CAST(p.running_min_s * COALESCE(p.gpu_nums, 0) AS BIGINT) AS gpu_min_s,
    CAST(p.running_max_s * COALESCE(p.gpu_nums, 0) AS BIGINT) AS gpu_max_s,
    CAST(0 AS BIGINT) AS seen_s,
    CAST(0 AS BIGINT) AS busy_s,
    CAST(0 AS BIGINT) AS percent_s,
    CAST(NULL AS BIGINT) AS memory_max_mb,
    CAST(NULL AS BIGINT) AS memory_total_mb
FROM _running_paid p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
UNION ALL
SELECT
    a.name,
    p.account_id,
    p.day,
    p.instance_uuid,
    i.title,
    p.project,
    p.owner,
    p.cost_centre,
    p.gpu_uuid,
    p.gpu_name,
    CAST(0 AS BIGINT),
    CAST(0 AS BIGINT),
    CAST(0 AS BIGINT),
    CAST(sampled_s(g, p) AS BIGINT),
    CAST(sampled_s(g, p) * g.is_busy AS BIGINT),
    CAST(sampled_s(g, p) * g.percent_sum / g.samples AS BIGINT),
    g.memory_max_mb,
    g.memory_total_mb
FROM _running_paid p
-- days of UTC: the key of the table begins with them
JOIN gpu_load g
    ON is_instance_of(g, p)
    AND g.utc_day >= p.starts_s / {DAY_S} AND g.utc_day <= p.ends_s / {DAY_S}
    AND g.begins_s < p.ends_s AND g.ends_s > p.starts_s
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
