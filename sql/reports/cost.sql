-- Cost: the cost of usage by the best estimate, with the share that the bill has settled; with --bounds
-- also the sure minimum and the maximum, which assumes that all that ran at the newest complete poll
-- has run on. `unpriced_hours` were charged at a price that is not known and
-- are in no amount. Usage that no allocation rule matches is a line of its own. Amounts are exact to the
-- millionth, so lines add up to the same sum however they are grouped.
-- @zh 用量费用的最佳估计，以及账单已结算的比例；加 --bounds 时含下限和上限，上限假定最近一次完整轮询
-- @zh 时运行的实例一直运行。价格未知的时长不在任何金额内。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [instance, project, owner, cost_centre, model, image, charging_type, day, week, month, account]
-- @column account {zh=账户} the account's name | 账户名称
-- @column what {zh=对象} what the line is about | 本行的对象
-- @column instance_uuid {zh=实例ID} identity, by instance | 实例标识（按实例时）
-- @column gpu_hours {zh=租用卡时, unit=card-h, total} card-hours, estimate | 卡时的最佳估计（租用时长 × 卡数，不是利用率）
-- @column cost_yuan {zh=费用, unit=yuan, total} estimate | 最佳估计
-- @column cost_yuan_min {zh=至少费用, unit=yuan, total} at least | 下限
-- @column cost_yuan_max {zh=至多费用, unit=yuan, total} at most | 上限
-- @column list_yuan {zh=目录价费用, unit=yuan, total} the cost of this usage at list prices | 按目录价计算的费用
-- @column settled_percent {zh=已结算比例, unit=%} share of the cost that the bill has settled | 账单已结算的费用比例
-- @column unpriced_hours {zh=无价时长, unit=h, total} hours charged at a price that is not known | 价格未知的计费小时数，不在任何金额内
WITH unseen AS unseen_in_period(),
used AS (
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, gpu_uuid, gpu_name,
        charging_type, image_uuid, settled, gpu_s, unpriced_s, unpriced_max_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, list_cost_microcny
    FROM _cost_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, gpu_uuid, gpu_name,
        charging_type, image_uuid, settled, gpu_s, unpriced_s, unpriced_max_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, list_cost_microcny
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, NULL, NULL, NULL, NULL, 'estimated', 0,
        0, 0, cost_microcny, cost_min_microcny, cost_max_microcny, 0
    FROM _cost_doubt
    WHERE in_period(day) AND account_chosen(account)
        AND CAST(:by AS TEXT) IN ('project', 'owner', 'cost_centre')
),
lines AS (
    SELECT
        l.account,
        CASE CAST(:by AS TEXT)
            WHEN 'instance' THEN l.title
            WHEN 'project' THEN COALESCE(l.project, '(no rule)')
            WHEN 'owner' THEN COALESCE(l.owner, '(no rule)')
            WHEN 'cost_centre' THEN COALESCE(l.cost_centre, '(no rule)')
            WHEN 'model' THEN COALESCE(l.gpu_name, l.gpu_uuid, '(unknown)')
            WHEN 'image' THEN COALESCE(l.image_uuid, '(unknown)')
            WHEN 'charging_type' THEN COALESCE(CAST(l.charging_type AS TEXT), '(unknown)')
            WHEN 'day' THEN CAST(l.day AS TEXT)
            WHEN 'week' THEN (SELECT c.week FROM calendar_day c WHERE c.day = l.day)
            WHEN 'month' THEN month_of(l.day)
            ELSE l.account
        END AS what,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN l.instance_uuid END AS instance_uuid,
        sum_of(l.gpu_s) AS gpu_s,
        sum_of(l.cost_microcny) AS cost_microcny,
        sum_of(l.cost_min_microcny) AS cost_min_microcny,
        sum_of(l.cost_max_microcny) AS cost_max_microcny,
        sum_of(l.list_cost_microcny) AS list_cost_microcny,
        sum_of(CASE WHEN l.settled = 'settled' THEN l.cost_microcny ELSE 0 END)
            AS settled_microcny,
        sum_of(l.unpriced_s) AS unpriced_s,
        sum_of(l.unpriced_max_s) AS unpriced_max_s
    FROM used l
    GROUP BY 1, 2, 3
)
SELECT
    account,
    what,
    instance_uuid,
    hours(gpu_s) AS gpu_hours,
    yuan(cost_microcny) AS cost_yuan,
    yuan(cost_min_microcny) AS cost_yuan_min,
    yuan(cost_max_microcny) AS cost_yuan_max,
    yuan(list_cost_microcny) AS list_yuan,
    percent_of(settled_microcny, cost_microcny) AS settled_percent,
    hours(unpriced_s) AS unpriced_hours
FROM lines
WHERE cost_max_microcny > 0 OR unpriced_max_s > 0
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'week', 'month') THEN what END,
    COALESCE(cost_microcny, -1) DESC, COALESCE(gpu_s, -1) DESC, account, what, instance_uuid
