-- Budgets: what each project and account has spent in each month of the period, of which budget, and
-- what the month will have cost at its end if it goes on as it did so far. Whole months, whatever days
-- the period begins and ends with. Costs are estimates, see report cost.
-- @param from_day any day of the first month
-- @param to_day any day of the last month
-- @column month {zh=月份} month
-- @column scope {zh=范围} project or account
-- @column name {zh=名称} of the project or account
-- @column budget_yuan {zh=预算, unit=yuan} budget; empty: none
-- @column spent_yuan {zh=已用, unit=yuan} spent so far
-- @column used_percent {zh=已用比例, unit=%} share of the budget that is spent
-- @column projected_yuan {zh=预计月末, unit=yuan} spent at the month's end, if it goes on as it did
-- @column projected_percent {zh=预计比例, unit=%} the same as a share of the budget
WITH costs AS (
    SELECT account, project, day, cost_microcny
    FROM cost_line
    WHERE day >= (
            SELECT MIN(day) FROM calendar_day WHERE month = month_of(:from_day)
        )
        AND day <= (
            SELECT MAX(day) FROM calendar_day WHERE month = month_of(:to_day)
        )
),
spent AS budget_month(costs AS cost_line),
months AS (
    SELECT
        c.month,
        MIN(c.starts_s) AS starts_s,
        MAX(c.ends_s) AS ends_s,
        MAX(o.last_s) AS last_s
    FROM calendar_day c
    CROSS JOIN (SELECT MIN(first_s) AS first_s, MAX(last_s) AS last_s FROM sync_span) o
    GROUP BY c.month
),
lines AS (
    SELECT
        b.month,
        b.scope,
        b.name,
        b.budget_microcny,
        b.spent_microcny,
        CASE
            WHEN m.last_s >= m.ends_s OR m.last_s <= m.starts_s THEN b.spent_microcny
            ELSE b.spent_microcny / (m.last_s - m.starts_s) * (m.ends_s - m.starts_s)
                + b.spent_microcny % (m.last_s - m.starts_s) * (m.ends_s - m.starts_s)
                / (m.last_s - m.starts_s)
        END AS projected_microcny
    FROM spent b
    JOIN months m ON m.month = b.month
    WHERE b.month >= month_of(:from_day)
        AND b.month <= month_of(:to_day)
)
SELECT
    month,
    scope,
    name,
    yuan(budget_microcny) AS budget_yuan,
    yuan(spent_microcny) AS spent_yuan,
    percent_of(spent_microcny, budget_microcny) AS used_percent,
    yuan(projected_microcny) AS projected_yuan,
    percent_of(projected_microcny, budget_microcny) AS projected_percent
FROM lines
ORDER BY month, scope, COALESCE(spent_microcny, 0) DESC, name
