-- Settlement windows against the estimate: windows that overlap, or follow one another, are one line, so
-- that a small account has one for each time in which something ran. Usage is cut at the windows: usage
-- outside of all of them is in no line. Prepaid lines (whole days, and moments) are left out, and so
-- is prepaid usage. Closed months are as they were closed.
-- @param account only this account, or all
-- @param from_day day in which the windows begin, the first
-- @param to_day the last
-- @column account {text} the account's name
-- @column begins {instant} when the first window begins, UTC
-- @column ends {instant} when the last window ends, UTC
-- @column windows {int, total} bill lines
-- @column instances {int} instances that ran then
-- @column billed_yuan {unit=yuan, total} charged
-- @column estimated_yuan {unit=yuan, total} cost by the best estimate
-- @column estimated_yuan_min {unit=yuan, total} at least
-- @column estimated_yuan_max {unit=yuan, total} at most
-- @column difference_yuan {unit=yuan, total, keep} billed less estimated
WITH unseen AS unseen_in_period(),
lines AS (
    -- all lines of a window are cut into the same days, so each day of it counts them all
    SELECT
        account_id,
        account,
        charge_channel,
        settle_start_at,
        settle_end_at,
        starts_s,
        ends_s,
        MAX(lines) AS windows,
        SUM(amount_microcny) AS amount_microcny
    FROM _bill_window
    WHERE is_prepaid = 0 AND in_period(day)
        AND account_chosen(account)
    GROUP BY account_id, account, charge_channel, settle_start_at, settle_end_at, starts_s, ends_s
),
marked AS (
    SELECT
        l.*,
        CASE
            WHEN starts_s <= MAX(ends_s) OVER (
                PARTITION BY account_id ORDER BY starts_s, ends_s
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
            THEN 0
            ELSE 1
        END AS is_new
    FROM lines l
),
numbered AS (
    SELECT
        m.*,
        SUM(is_new) OVER (
            PARTITION BY account_id ORDER BY starts_s, ends_s, is_new DESC ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM marked m
),
islands AS (
    SELECT
        n.account_id,
        n.account,
        n.island,
        MIN(n.settle_start_at) AS begins,
        MAX(n.settle_end_at) AS ends,
        MIN(n.starts_s) AS begins_s,
        MAX(n.ends_s) AS ends_s,
        sum_of(n.windows) AS windows,
        sum_of(n.amount_microcny) AS billed_microcny
    FROM numbered n
    GROUP BY n.account_id, n.account, n.island
),
parts AS (
    SELECT
        account_id, day, instance_uuid, usage_no, starts_s, ends_s, used_s, charged_min_s,
        charged_max_s, cost_microcny, cost_min_microcny, cost_max_microcny
    FROM _cost_part
    WHERE kind = 'running' AND in_period(day)
    UNION ALL
    SELECT
        account_id, day, instance_uuid, usage_no, starts_s, ends_s, used_s, charged_min_s,
        charged_max_s, cost_microcny, cost_min_microcny, cost_max_microcny
    FROM _cost_open(unseen AS _usage_open_part) u
    WHERE kind = 'running'
),
frozen AS (
    SELECT
        account_id,
        day,
        instance_uuid,
        sum_of(COALESCE(cost_microcny, 0)) AS cost_microcny,
        sum_of(COALESCE(cost_min_microcny, 0)) AS cost_min_microcny,
        sum_of(COALESCE(cost_max_microcny, 0)) AS cost_max_microcny
    FROM _cost_line
    WHERE is_closed = 1 AND kind = 'running' AND in_period(day)
    GROUP BY account_id, day, instance_uuid
),
weighed AS (
    -- what is frozen with a month says of each day how much, not when: by the time used then
    SELECT
        p.*,
        CAST(SUM(p.used_s) OVER (
            PARTITION BY p.account_id, p.day, p.instance_uuid
            ORDER BY p.starts_s, p.usage_no, p.ends_s, p.charged_max_s ROWS UNBOUNDED PRECEDING
        ) AS BIGINT) AS upto_s,
        p.used_s AS weight_s,
        CAST(
            SUM(p.used_s) OVER (PARTITION BY p.account_id, p.day, p.instance_uuid) AS BIGINT
        ) AS all_s
    FROM parts p
    JOIN _month_closed m ON m.account_id = p.account_id AND m.month = month_of(p.day)
),
timed AS (
    SELECT
        p.account_id,
        p.instance_uuid,
        p.starts_s,
        p.ends_s,
        earlier(p.starts_s + p.charged_min_s, p.ends_s) AS ends_min_s,
        later(p.starts_s + p.charged_max_s, p.ends_s) AS ends_max_s,
        p.cost_microcny,
        p.cost_min_microcny,
        p.cost_max_microcny
    FROM parts p
    LEFT JOIN _month_closed m ON m.account_id = p.account_id AND m.month = month_of(p.day)
    WHERE m.month IS NULL
    UNION ALL
    SELECT
        w.account_id,
        w.instance_uuid,
        w.starts_s,
        w.ends_s,
        w.ends_s,
        w.ends_s,
        amount_within(f.cost_microcny, 0, w.all_s, w.upto_s - w.weight_s, w.upto_s),
        amount_within(f.cost_min_microcny, 0, w.all_s, w.upto_s - w.weight_s, w.upto_s),
        amount_within(f.cost_max_microcny, 0, w.all_s, w.upto_s - w.weight_s, w.upto_s)
    FROM weighed w
    JOIN frozen f
        ON f.account_id = w.account_id AND f.instance_uuid = w.instance_uuid AND f.day = w.day
    WHERE w.weight_s > 0
    UNION ALL
    SELECT
        f.account_id, f.instance_uuid, c.starts_s, c.ends_s, c.ends_s, c.ends_s,
        f.cost_microcny, f.cost_min_microcny, f.cost_max_microcny
    FROM frozen f
    JOIN calendar_day c ON c.day = f.day
    WHERE NOT EXISTS (
        SELECT 1 FROM parts p
        WHERE p.account_id = f.account_id AND p.instance_uuid = f.instance_uuid AND p.day = f.day
            AND p.used_s > 0
    )
),
cut AS (
    SELECT
        i.account_id,
        i.island,
        t.instance_uuid,
        amount_within(t.cost_microcny, t.starts_s, t.ends_s, i.from_s, i.to_s) AS cost_microcny,
        amount_within(t.cost_min_microcny, t.starts_s, t.ends_min_s, i.from_s, i.to_s)
            AS cost_min_microcny,
        amount_within(t.cost_max_microcny, t.starts_s, t.ends_max_s, i.from_s, i.to_s)
            AS cost_max_microcny
    FROM (
        SELECT
            account_id,
            island,
            later(begins_s, period_starts_s()) AS from_s,
            earlier(ends_s, period_ends_s()) AS to_s
        FROM islands
    ) i
    JOIN timed t
        ON t.account_id = i.account_id AND t.starts_s < i.to_s
        AND later(t.ends_max_s, t.starts_s + 1) > i.from_s
),
spent AS (
    SELECT
        account_id,
        island,
        instance_uuid,
        SUM(cost_microcny) AS cost_microcny,
        SUM(earlier(cost_microcny, cost_min_microcny))
            AS cost_min_microcny,
        SUM(later(cost_microcny, cost_max_microcny))
            AS cost_max_microcny
    FROM cut
    GROUP BY account_id, island, instance_uuid
),
sums AS (
    SELECT
        account_id,
        island,
        COUNT(*) AS instances,
        sum_of(cost_microcny) AS cost_microcny,
        sum_of(cost_min_microcny) AS cost_min_microcny,
        sum_of(cost_max_microcny) AS cost_max_microcny
    FROM spent
    GROUP BY account_id, island
)
SELECT
    i.account,
    i.begins,
    i.ends,
    i.windows,
    COALESCE(s.instances, 0) AS instances,
    yuan(i.billed_microcny) AS billed_yuan,
    yuan(COALESCE(s.cost_microcny, 0)) AS estimated_yuan,
    yuan(COALESCE(s.cost_min_microcny, 0)) AS estimated_yuan_min,
    yuan(COALESCE(s.cost_max_microcny, 0)) AS estimated_yuan_max,
    yuan(i.billed_microcny - COALESCE(s.cost_microcny, 0)) AS difference_yuan
FROM islands i
LEFT JOIN sums s ON s.account_id = i.account_id AND s.island = i.island
ORDER BY i.begins_s, i.account, i.island
