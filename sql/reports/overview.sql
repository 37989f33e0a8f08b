-- The Monday page: each project's card-hours and cost in the period, the cost of as many days before it,
-- the change, the month's budget, how much of it is used, and the share that the bill has settled.
-- @zh 每个项目的卡时与费用、与之前同样天数的比较、月预算及其使用、账单已结算的比例。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column project {zh=项目} the project that pays; (no rule): none | 承担费用的项目
-- @column gpu_hours {zh=租用卡时, unit=card-h, total} card-hours, estimate | 卡时的最佳估计（租用时长 × 卡数，不是利用率）
-- @column cost_yuan {zh=费用, unit=yuan, total} estimate | 最佳估计
-- @column before_yuan {zh=上期费用, unit=yuan, total} of as many days before the period | 此前同样天数的费用
-- @column change_yuan {zh=变化, unit=yuan, total} the difference | 差额
-- @column budget_yuan {zh=月预算, unit=yuan} the project's budget of the month of the last day; empty: none | 末日所在月份的项目预算；空：未设
-- @column used_percent {zh=预算已用, unit=%} spent of it in that month | 该月已用的比例
-- @column settled_percent {zh=已结算比例, unit=%} share of the period's cost that the bill has settled | 期间费用中账单已结算的比例
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
    yuan(s.before_microcny) AS before_yuan,
    yuan(s.cost_microcny - s.before_microcny) AS change_yuan,
    yuan(b.budget_microcny) AS budget_yuan,
    percent_of(b.spent_microcny, b.budget_microcny) AS used_percent,
    percent_of(s.settled_microcny, s.cost_microcny) AS settled_percent
FROM sums s
LEFT JOIN budgets b ON b.project = s.project
ORDER BY s.cost_microcny DESC, s.account, project
