-- The daily cost of everything that runs or is held, at the prices in force at the newest complete
-- poll. Instances without a known price are counted, but are not in the amount.
-- @column account the account's name
-- @column instances instances that cost something now
-- @column unpriced of them, those without a known price
-- @column day_microcny all of it for 24 hours; millionths of a yuan
-- @column day_yuan all of it for 24 hours, yuan
SELECT
    a.name AS account,
    COUNT(*) AS instances,
    sum_of(CASE WHEN n.day_microcny IS NULL THEN 1 ELSE 0 END) AS unpriced,
    CAST(COALESCE(SUM(n.day_microcny), 0) AS BIGINT) AS day_microcny,
    yuan(CAST(COALESCE(SUM(n.day_microcny), 0) AS BIGINT)) AS day_yuan
FROM (
    SELECT
        u.account_id,
        price_of_time(u, p, {DAY_S}) AS day_microcny
    FROM instance_usage u
    JOIN _sync_horizon h ON h.account_id = u.account_id
    JOIN price_period p
        ON is_price_of(p, u)
        AND p.kind = u.kind
        AND holds(p, epoch(h.last_at))
    WHERE u.ended_at IS NULL
) n
JOIN account a ON a.account_id = n.account_id
GROUP BY a.name
