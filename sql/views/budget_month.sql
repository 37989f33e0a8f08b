-- Cost of each project and account by month, projected to the month's end, with its budget: that of the
-- month, else the one for every month. Usage without a project (null in `_cost_line`) has no budget.
-- The projection continues the account's cost since it is observed: from the day after its first
-- complete poll on, and in the first day after that from the poll itself. Days of which gaps take more
-- than half stand for nothing: neither their cost nor their time is continued.
-- @column scope project or account
-- @column name of the project or account
-- @column budget_microcny millionths of a yuan; null: no budget
-- @column spent_microcny estimate, up to the newest complete poll
-- @column projected_microcny at the month's end
-- @column budget_yuan the budget, yuan; null: no budget
-- @column spent_yuan estimate, yuan
-- @column projected_yuan at the month's end, yuan
-- @column observed_s seconds of the month from the first to the newest complete poll, less the gaps of such days, the most of the accounts
WITH observed AS (
    SELECT
        account,
        first_s,
        last_s,
        -- a first day that began in its middle counts only until there is a whole one after it
        CASE WHEN last_s - day_ends_s >= {DAY_S} THEN day_ends_s ELSE first_s END AS from_s,
        CASE WHEN last_s - day_ends_s >= {DAY_S} THEN next_day ELSE first_day END AS from_day
    FROM (
        SELECT s.account, s.first_s, s.last_s, d.day AS first_day, d.ends_s AS day_ends_s, n.day AS next_day
        FROM sync_span s
        JOIN calendar_day d ON holds(d, s.first_s)
        JOIN calendar_day n ON n.starts_s = d.ends_s
    ) began
),
-- found first, once: joined to days before they are told from other polls, each poll would meet every day
gap AS MATERIALIZED (
    SELECT account, gap_from_s, gap_to_s FROM sync_gap
),
blind AS (
    SELECT account, day, month, SUM(gap_s) AS gap_s, MAX(within_s) AS within_s
    FROM (
        SELECT
            g.account,
            d.day,
            d.month,
            d.ends_s - d.starts_s AS day_s,
            earlier(g.gap_to_s, d.ends_s) - later(g.gap_from_s, d.starts_s) AS gap_s,
            earlier(o.last_s, d.ends_s) - later(o.from_s, d.starts_s) AS within_s
        FROM gap g
        JOIN observed o ON o.account = g.account
        JOIN calendar_day d ON d.ends_s > g.gap_from_s AND d.starts_s < g.gap_to_s
            AND d.ends_s > o.from_s
    ) gaps
    GROUP BY account, day, month, day_s
    -- what is left of such a day says nothing of a usual one
    HAVING is_mostly_unseen(gap_s, day_s)
),
months AS (
    SELECT month, MIN(starts_s) AS starts_s, MAX(ends_s) AS ends_s
    FROM calendar_day
    GROUP BY month
),
monthly AS (
    SELECT
        c.account,
        c.project,
        month_of(c.day) AS month,
        SUM(COALESCE(c.cost_microcny, 0)) AS spent_microcny,
        SUM(CASE WHEN c.day >= o.from_day AND d.day IS NULL THEN COALESCE(c.cost_microcny, 0) ELSE 0 END)
            AS observed_microcny
    FROM _cost_line c
    LEFT JOIN observed o ON o.account = c.account
    LEFT JOIN blind d ON d.account = c.account AND d.day = c.day
    GROUP BY c.account, c.project, month_of(c.day)
),
projected AS (
    SELECT
        p.account,
        p.project,
        p.month,
        p.spent_microcny,
        p.spent_microcny + CASE
            WHEN p.seen_s > 0 AND p.left_s > 0 THEN scaled(p.observed_microcny, p.left_s, p.seen_s) ELSE 0
        END AS projected_microcny,
        CASE WHEN p.observed_s > 0 THEN p.observed_s ELSE 0 END AS observed_s
    FROM (
        SELECT
            s.account,
            s.project,
            s.month,
            CAST(s.spent_microcny AS BIGINT) AS spent_microcny,
            CAST(s.observed_microcny AS BIGINT) AS observed_microcny,
            earlier(o.last_s, m.ends_s) - later(o.from_s, m.starts_s) - COALESCE(d.within_s, 0) AS seen_s,
            earlier(o.last_s, m.ends_s) - later(o.first_s, m.starts_s) - COALESCE(d.gap_s, 0) AS observed_s,
            m.ends_s - o.last_s AS left_s
        FROM monthly s
        JOIN months m ON m.month = s.month
        LEFT JOIN observed o ON o.account = s.account
        LEFT JOIN (
            SELECT account, month, sum_of(within_s) AS within_s, sum_of(gap_s) AS gap_s
            FROM blind
            GROUP BY account, month
        ) d ON d.account = s.account AND d.month = s.month
    ) p
)
SELECT
    s.scope,
    s.name,
    s.month,
    COALESCE(b.amount_microcny, e.amount_microcny) AS budget_microcny,
    s.spent_microcny,
    s.projected_microcny,
    s.observed_s,
    yuan(COALESCE(b.amount_microcny, e.amount_microcny)) AS budget_yuan,
    yuan(s.spent_microcny) AS spent_yuan,
    yuan(s.projected_microcny) AS projected_yuan
FROM (
    SELECT
        scope,
        name,
        month,
        sum_of(spent_microcny) AS spent_microcny,
        sum_of(projected_microcny) AS projected_microcny,
        CAST(MAX(observed_s) AS BIGINT) AS observed_s
    FROM (
        SELECT 'project' AS scope, project AS name, month, spent_microcny, projected_microcny, observed_s
        FROM projected
        WHERE project IS NOT NULL
        UNION ALL
        SELECT 'account', account, month, spent_microcny, projected_microcny, observed_s
        FROM projected
        UNION ALL
        -- a budget of which nothing is spent has a row too
        SELECT b.scope, b.name, m.month, 0, 0, 0
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
-- the one for every month, where the month has none of its own
LEFT JOIN budget e ON e.scope = s.scope AND e.name = s.name AND e.month = ''
