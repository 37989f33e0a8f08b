-- Settlement windows against the estimate: windows that overlap, or follow one another, are one line, so
-- that a small account has one for each time in which something ran. Prepaid lines (whole days, and
-- moments) are left out, and so is prepaid usage.
-- @param account only this account, or all
-- @param from_day day in which the windows begin, the first
-- @param to_day the last
-- @column account {zh=账户} the account's name
-- @column begins {zh=开始, instant} where the first window begins, UTC
-- @column ends {zh=结束, instant} where the last window ends, UTC
-- @column windows {zh=结算行数, int, total} bill lines
-- @column instances {zh=实例数, int} instances that ran then
-- @column billed_yuan {zh=账单金额, unit=yuan, total} charged
-- @column estimated_yuan {zh=估算金额, unit=yuan, total} cost by the best estimate
-- @column estimated_yuan_min {zh=至少, unit=yuan, total} at least
-- @column estimated_yuan_max {zh=至多, unit=yuan, total} at most
-- @column difference_yuan {zh=差额, unit=yuan, total} billed less estimated
WITH lines AS (
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
    FROM bill_window
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
    SELECT account_id, instance_uuid, starts_s, cost_microcny, cost_min_microcny, cost_max_microcny
    FROM cost_part
    WHERE kind = 'running'
        AND in_period(day)
),
spent AS (
    SELECT
        i.account_id,
        i.island,
        c.instance_uuid,
        SUM(c.cost_microcny) AS cost_microcny,
        SUM(c.cost_min_microcny) AS cost_min_microcny,
        SUM(c.cost_max_microcny) AS cost_max_microcny
    FROM islands i
    JOIN parts c
        ON c.account_id = i.account_id AND c.starts_s >= i.begins_s - {GAP_S} AND c.starts_s < i.ends_s
    GROUP BY i.account_id, i.island, c.instance_uuid
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
