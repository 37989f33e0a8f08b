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
WITH open_daily AS (
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
    FROM usage_open_part
    WHERE kind = 'running'
    GROUP BY account_id, day, instance_uuid, gpu_uuid, gpu_name
)
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
    -- a condition on the day passes through a grouping of one table to its index, but not through
    -- a grouping of a union: so closed and open parts are grouped apart
    SELECT
        u.account_id,
        u.day,
        u.instance_uuid,
        u.gpu_uuid,
        u.gpu_name,
        u.running_s + COALESCE(o.running_s, 0) AS running_s,
        u.running_min_s + COALESCE(o.running_min_s, 0) AS running_min_s,
        u.running_max_s + COALESCE(o.running_max_s, 0) AS running_max_s,
        COALESCE(u.gpu_s + o.gpu_s, u.gpu_s, o.gpu_s) AS gpu_s,
        COALESCE(u.gpu_min_s + o.gpu_min_s, u.gpu_min_s, o.gpu_min_s) AS gpu_min_s,
        COALESCE(u.gpu_max_s + o.gpu_max_s, u.gpu_max_s, o.gpu_max_s) AS gpu_max_s
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
        FROM running_sum
        GROUP BY account_id, day, instance_uuid, gpu_uuid, gpu_name
    ) u
    LEFT JOIN open_daily o
        ON o.account_id = u.account_id AND o.instance_uuid = u.instance_uuid AND o.day = u.day
        AND (o.gpu_uuid = u.gpu_uuid OR (o.gpu_uuid IS NULL AND u.gpu_uuid IS NULL))
        AND (o.gpu_name = u.gpu_name OR (o.gpu_name IS NULL AND u.gpu_name IS NULL))
    UNION ALL
    SELECT
        o.account_id,
        o.day,
        o.instance_uuid,
        o.gpu_uuid,
        o.gpu_name,
        o.running_s,
        o.running_min_s,
        o.running_max_s,
        o.gpu_s,
        o.gpu_min_s,
        o.gpu_max_s
    FROM open_daily o
    WHERE NOT EXISTS (
        SELECT 1 FROM running_sum u
        WHERE u.account_id = o.account_id AND u.instance_uuid = o.instance_uuid
            AND u.day = o.day
            AND (o.gpu_uuid = u.gpu_uuid OR (o.gpu_uuid IS NULL AND u.gpu_uuid IS NULL))
            AND (o.gpu_name = u.gpu_name OR (o.gpu_name IS NULL AND u.gpu_name IS NULL))
    )
) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON i.account_id = p.account_id AND i.instance_uuid = p.instance_uuid
