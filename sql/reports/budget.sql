-- Budgets: spending of each project and account in each month of the period, its budget, and the cost
-- projected to the month's end from the time observed. Always whole months, whatever days the period
-- begins and ends with. Costs are estimates, see report cost.
-- @param from_day any day of the first month
-- @param to_day any day of the last month
-- @column month {text} month
-- @column scope {text} project or account
-- @column name {text, keep} of the project or account
-- @column budget_yuan {unit=yuan} budget; empty: none
-- @column spent_yuan {unit=yuan, keep} spent so far
-- @column used_percent {unit=%, keep} share of the budget that is spent
-- @column projected_yuan {unit=yuan} spent at the month's end, if it goes on as it did
-- @column projected_percent {unit=%} projected cost as a share of the budget
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
