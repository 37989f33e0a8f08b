-- Daily: cost of each instance on each day, with its card-hours and who pays, the oldest day first; with
-- --bounds also the sure minimum and the maximum. A day on which another begins to pay has a line for each.
-- @zh 每台实例每天的费用、卡时和承担者，最早的在前；加 --bounds 时含下限和上限。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column day {zh=日期, day} day of the reporting time zone | 报表时区的日期
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column project {zh=项目} the project that pays; empty: no rule matches | 承担费用的项目；空：无规则
-- @column owner {zh=负责人} who it is for; empty: no rule matches | 使用人；空：无规则
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column gpu_hours {zh=租用卡时, unit=card-h, total} card-hours, estimate | 卡时的最佳估计（租用时长 × 卡数，不是利用率）
-- @column cost_yuan {zh=费用, unit=yuan, total} estimate | 最佳估计
-- @column cost_yuan_min {zh=至少费用, unit=yuan, total} at least | 下限
-- @column cost_yuan_max {zh=至多费用, unit=yuan, total} at most | 上限
-- @column unpriced_hours {zh=无价时长, unit=h, total} hours charged at a price that is not known | 价格未知的计费小时数，不在任何金额内
-- @column instance_uuid {zh=实例ID} identity | 实例标识
WITH unseen AS unseen_in_period(),
used AS (
    SELECT
        account, day, instance_uuid, title, project, owner, gpu_uuid, gpu_name, gpu_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, unpriced_s, unpriced_max_s
    FROM _cost_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, gpu_uuid, gpu_name, gpu_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, unpriced_s, unpriced_max_s
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
)
SELECT
    day,
    account,
    title,
    project,
    owner,
    gpu_name,
    hours(gpu_s) AS gpu_hours,
    yuan(cost_microcny) AS cost_yuan,
    yuan(cost_min_microcny) AS cost_yuan_min,
    yuan(cost_max_microcny) AS cost_yuan_max,
    hours(unpriced_s) AS unpriced_hours,
    instance_uuid
FROM (
    SELECT
        l.day,
        l.account,
        l.title,
        l.project,
        l.owner,
        COALESCE(l.gpu_name, l.gpu_uuid) AS gpu_name,
        l.instance_uuid,
        sum_of(l.gpu_s) AS gpu_s,
        sum_of(l.cost_microcny) AS cost_microcny,
        sum_of(l.cost_min_microcny) AS cost_min_microcny,
        sum_of(l.cost_max_microcny) AS cost_max_microcny,
        sum_of(l.unpriced_s) AS unpriced_s,
        sum_of(l.unpriced_max_s) AS unpriced_max_s
    FROM used l
    GROUP BY
        l.day, l.account, l.title, l.project, l.owner, COALESCE(l.gpu_name, l.gpu_uuid), l.instance_uuid
) lines
WHERE cost_max_microcny > 0 OR unpriced_max_s > 0
ORDER BY day, account, title, instance_uuid, project, owner, gpu_name
