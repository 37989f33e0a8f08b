-- What each project and account has cost in each month, and its budget: that of the month, else the one
-- for every month. `project` null in `cost_line` is no project, and has no budget.
-- @column scope project or account
-- @column name of the project or account
-- @column budget_microcny millionths of a yuan; null: no budget
-- @column spent_microcny estimate
WITH monthly AS (
    SELECT
        account,
        project,
        month_of(day) AS month,
        SUM(COALESCE(cost_microcny, 0)) AS spent_microcny
    FROM cost_line
    GROUP BY account, project, month_of(day)
)
SELECT
    s.scope,
    s.name,
    s.month,
    COALESCE(b.amount_microcny, e.amount_microcny) AS budget_microcny,
    s.spent_microcny
FROM (
    SELECT scope, name, month, sum_of(spent_microcny) AS spent_microcny
    FROM (
        SELECT 'project' AS scope, project AS name, month, spent_microcny
        FROM monthly
        WHERE project IS NOT NULL
        UNION ALL
        SELECT 'account', account, month, spent_microcny
        FROM monthly
        UNION ALL
        SELECT b.scope, b.name, m.month, 0
        FROM budget b
        JOIN (
            SELECT c.month
            FROM calendar_day c
            CROSS JOIN (SELECT MIN(first_s) AS first_s, MAX(last_s) AS last_s FROM sync_span) o
            WHERE c.ends_s > o.first_s AND c.starts_s <= o.last_s
            GROUP BY c.month
        ) m ON b.month = '' OR b.month = m.month
    ) spent
    GROUP BY scope, name, month
) s
LEFT JOIN budget b ON b.scope = s.scope AND b.name = s.name AND b.month = s.month
LEFT JOIN budget e ON e.scope = s.scope AND e.name = s.name AND e.month = ''
