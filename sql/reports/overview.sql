-- The Monday page: each project's card-hours and cost in the period, the cost of as many days before it,
-- the change, the month's budget, how much of it is used, and the share that the bill has settled.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column project {text} the project that pays; (no rule): none
-- @column gpu_hours {unit=card-h, total} card-hours, estimate
-- @column cost_yuan {unit=yuan, total, keep} estimate
-- @column before_yuan {unit=yuan, total} of as many days before the period; empty: not observed from their start
-- @column change_yuan {unit=yuan, total, keep} the difference; empty: not known
-- @column budget_yuan {unit=yuan} the project's budget of the month of the last day; empty: none
-- @column used_percent {unit=%, keep} spent of it in that month
-- @column settled_percent {unit=%} share of the period's cost that the bill has settled
WITH days AS (
    SELECT c.day, 1 AS is_now
    FROM calendar_day c
    WHERE in_period(c.day)
    UNION ALL
    SELECT b.day, 0
    FROM (
        SELECT c.day, ROW_NUMBER() OVER (ORDER BY c.starts_s DESC) AS place
        FROM calendar_day c
        WHERE c.day < :from_day
    ) b
    WHERE b.place <= (
        SELECT COUNT(*) FROM calendar_day c
        WHERE in_period(c.day)
    )
),
compared AS (
    -- an account that was not polled yet when those days began has only a part of their cost, or none
    SELECT p.account
    FROM sync_span p
    CROSS JOIN (
        SELECT
            MIN(CASE WHEN d.is_now = 0 THEN c.starts_s END) AS starts_s,
            SUM(CASE WHEN d.is_now = 1 THEN 1 ELSE -1 END) AS missing
        FROM days d
        JOIN calendar_day c ON c.day = d.day
    ) b
    WHERE p.first_s <= b.starts_s AND b.missing <= 0
),
sums AS (
    SELECT
        l.account,
        l.project,
        sum_of(CASE WHEN d.is_now = 1 THEN l.gpu_s ELSE 0 END) AS gpu_s,
        sum_of(CASE WHEN d.is_now = 1 THEN l.cost_microcny ELSE 0 END) AS cost_microcny,
        sum_of(CASE WHEN d.is_now = 0 THEN l.cost_microcny ELSE 0 END) AS before_microcny,
        sum_of(CASE WHEN d.is_now = 1 AND l.settled = 'settled' THEN l.cost_microcny ELSE 0 END)
            AS settled_microcny
    FROM _cost_line l
    JOIN days d ON d.day = l.day
    WHERE l.day >= :before_day AND l.day <= :to_day
        AND account_chosen(l.account)
    GROUP BY l.account, l.project
),
spent AS (
    SELECT l.project, sum_of(COALESCE(l.cost_microcny, 0)) AS spent_microcny
    FROM _cost_line l
    WHERE l.day >= :month_first AND l.day <= :month_last
    GROUP BY l.project
),
budgets AS (
    -- as in budget_month, of one month alone
    SELECT
        p.project,
        COALESCE(b.budget_microcny, e.budget_microcny) AS budget_microcny,
        COALESCE(s.spent_microcny, 0) AS spent_microcny
    FROM (SELECT DISTINCT project FROM sums WHERE project IS NOT NULL) p
    LEFT JOIN spent s ON s.project = p.project
    LEFT JOIN _budget_line b
        ON b.scope = 'project' AND b.name = p.project AND b.month = month_of(:to_day)
    LEFT JOIN _budget_line e ON e.scope = 'project' AND e.name = p.project AND e.month = ''
    WHERE s.project IS NOT NULL
        OR EXISTS (
            SELECT 1
            FROM calendar_day c
            CROSS JOIN (SELECT MIN(first_s) AS first_s, MAX(last_s) AS last_s FROM sync_span) o
            WHERE c.day >= :month_first AND c.day <= :month_last
                AND c.ends_s > o.first_s AND c.starts_s <= o.last_s
        )
)
SELECT
    s.account,
    COALESCE(s.project, '(no rule)') AS project,
    hours(s.gpu_s) AS gpu_hours,
    yuan(s.cost_microcny) AS cost_yuan,
    yuan(CASE WHEN p.account IS NOT NULL THEN s.before_microcny END) AS before_yuan,
    yuan(CASE WHEN p.account IS NOT NULL THEN s.cost_microcny - s.before_microcny END) AS change_yuan,
    yuan(b.budget_microcny) AS budget_yuan,
    percent_of(b.spent_microcny, b.budget_microcny) AS used_percent,
    percent_of(s.settled_microcny, s.cost_microcny) AS settled_percent
FROM sums s
LEFT JOIN compared p ON p.account = s.account
LEFT JOIN budgets b ON b.project = s.project
ORDER BY s.cost_microcny DESC, s.account, project
