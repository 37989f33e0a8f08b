-- What runs, and what is held, costs by the day at the prices in force now: at the newest complete
-- poll. What has no known price is counted, and is not in the amount.
-- @column account the account's name
-- @column instances instances that cost something now
-- @column unpriced of them, those without a known price
-- @column day_microcny all of it for 24 hours; millionths of a yuan
SELECT
    a.name AS account,
    COUNT(*) AS instances,
    CAST(SUM(CASE WHEN n.day_microcny IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced,
    CAST(COALESCE(SUM(n.day_microcny), 0) AS BIGINT) AS day_microcny
FROM (
    SELECT
        u.account_id,
        86400 * (
            CASE WHEN u.gpu_nums >= 0 AND u.gpu_nums <= 64 THEN u.gpu_nums END * p.price_microcny
            + p.flat_microcny
        ) / p.per_s AS day_microcny
    FROM instance_usage u
    JOIN (
        SELECT account_id, epoch(MAX(started_at)) AS last_s
        FROM sync_run
        WHERE resource = 'instances' AND outcome = 'complete'
        GROUP BY account_id
    ) h ON h.account_id = u.account_id
    JOIN price_period p
        ON p.account_id = u.account_id
        AND p.gpu_uuid = COALESCE(u.gpu_uuid, '')
        AND p.gpu_name = COALESCE(u.gpu_name, '')
        AND p.image_uuid = COALESCE(u.image_uuid, '')
        AND p.charging_type = COALESCE(u.charging_type, -1)
        AND p.no_card = CASE WHEN u.gpu_nums = 0 THEN 1 ELSE 0 END
        AND p.kind = u.kind
        AND p.starts_s <= h.last_s AND p.ends_s > h.last_s
    WHERE u.ended_at IS NULL
) n
JOIN account a ON a.account_id = n.account_id
GROUP BY a.name
