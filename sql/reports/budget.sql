-- Budgets: spending of each project and account in each month of the period, its budget, and the cost
-- projected to the month's end from the time observed. Always whole months, whatever days the period
-- begins and ends with. Costs are estimates, see report cost.
-- @zh 各项目与账户每月的预算、已用金额和按已观测时间推算的月末金额。总是整月；费用为估算。
-- @param from_day any day of the first month
-- @param to_day any day of the last month
-- @column month {zh=月份} month | 月份
-- @column scope {zh=范围} project or account | 项目或账户
-- @column name {zh=名称} of the project or account | 项目或账户的名称
-- @column budget_yuan {zh=预算, unit=yuan} budget; empty: none | 预算；空：未设
-- @column spent_yuan {zh=已用, unit=yuan} spent so far | 至今已用
-- @column used_percent {zh=已用比例, unit=%} share of the budget that is spent | 已用占预算的比例
-- @column projected_yuan {zh=预计月末, unit=yuan} spent at the month's end, if it goes on as it did | 照此速度到月末的费用
-- @column projected_percent {zh=预计比例, unit=%} projected cost as a share of the budget | 预计费用占预算的比例
WITH costs AS (
    SELECT account, project, day, cost_microcny
    FROM _cost_line
    WHERE day >= (
            SELECT MIN(day) FROM calendar_day WHERE month = month_of(:from_day)
        )
        AND day <= (
            SELECT MAX(day) FROM calendar_day WHERE month = month_of(:to_day)
        )
),
spent AS budget_month(costs AS _cost_line)
SELECT
    month,
    scope,
    name,
    yuan(budget_microcny) AS budget_yuan,
    yuan(spent_microcny) AS spent_yuan,
    percent_of(spent_microcny, budget_microcny) AS used_percent,
    yuan(projected_microcny) AS projected_yuan,
    percent_of(projected_microcny, budget_microcny) AS projected_percent
FROM spent
WHERE month >= month_of(:from_day) AND month <= month_of(:to_day)
ORDER BY month, scope, COALESCE(spent_microcny, 0) DESC, name
