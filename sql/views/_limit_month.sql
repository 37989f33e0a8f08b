-- Card-hours of a month that each limit allows, with those carried over from the month before, and what was used
-- of them. A closed month counts as it was closed, with its estimate as all three figures.
-- @column limit_no the limit
-- @column scope account, project or owner
-- @column month_gpu_s card-seconds that a month allows, without those carried over
-- @column starts_s from when on the limit counts in the month, epoch seconds
-- @column ends_s until when, epoch seconds
-- @column used_s card-seconds, estimate
-- @column used_min_s at least
-- @column used_max_s at most
-- @column carried_s card-seconds of earlier months, estimate
-- @column carried_min_s at least
-- @column carried_max_s at most
-- @column is_blind 1 if part of it lies before an account's first complete poll, or gaps take more than half
WITH RECURSIVE months AS (
    SELECT month, MIN(starts_s) AS starts_s, MAX(ends_s) AS ends_s FROM calendar_day GROUP BY month
),
wanted AS MATERIALIZED (
    SELECT
        l.limit_no,
        l.scope,
        l.name,
        l.month_gpu_s,
        l.carry_s,
        m.month,
        later(m.starts_s, COALESCE(epoch(l.valid_from), m.starts_s)) AS starts_s,
        earlier(m.ends_s, COALESCE(epoch(l.valid_to), m.ends_s)) AS ends_s,
        -- in order, so that each finds the month before
        ROW_NUMBER() OVER (PARTITION BY l.limit_no ORDER BY m.month) AS place
    FROM usage_limit l
    CROSS JOIN (SELECT MIN(first_s) AS first_s FROM sync_span) s
    CROSS JOIN _asked_until u
    JOIN months m ON m.starts_s <= u.until_s
        AND m.ends_s > COALESCE(epoch(l.valid_from), s.first_s)
        AND m.starts_s < COALESCE(epoch(l.valid_to), m.ends_s)
    WHERE l.month_gpu_s IS NOT NULL
),
parts AS MATERIALIZED (
    SELECT p.* FROM _payer_part p
    WHERE NOT EXISTS (
            SELECT 1 FROM closed_month c
            WHERE c.account_id = p.account_id AND c.month = month_of(p.day)
        )
        AND EXISTS (SELECT 1 FROM wanted)
    UNION ALL
    SELECT
        c.account_id, c.day, c.instance_uuid, c.gpu_nums, d.starts_s, c.used_s, c.used_s, c.used_s,
        c.project, c.owner, 0, NULL, NULL, 0
    FROM closed_cost c
    JOIN calendar_day d ON d.day = c.day
    WHERE c.kind = 'running' AND EXISTS (SELECT 1 FROM wanted)
),
scoped AS (
    SELECT 'account' AS scope, a.name, p.starts_s, p.gpu_nums, p.running_s, p.running_min_s, p.running_max_s
    FROM parts p
    JOIN account a ON a.account_id = p.account_id
    UNION ALL
    SELECT
        'project', project, starts_s, gpu_nums, running_s,
        CASE WHEN is_doubtful = 1 AND differ(project, or_project, '') THEN 0 ELSE running_min_s END,
        running_max_s
    FROM parts
    WHERE project IS NOT NULL
    UNION ALL
    -- who may pay instead: all of it, at most
    SELECT 'project', or_project, starts_s, gpu_nums, 0, 0, running_max_s
    FROM parts
    WHERE is_doubtful = 1 AND or_project IS NOT NULL AND differ(project, or_project, '')
    UNION ALL
    SELECT
        'owner', owner, starts_s, gpu_nums, running_s,
        CASE WHEN is_doubtful = 1 AND differ(owner, or_owner, '') THEN 0 ELSE running_min_s END,
        running_max_s
    FROM parts
    WHERE owner IS NOT NULL
    UNION ALL
    SELECT 'owner', or_owner, starts_s, gpu_nums, 0, 0, running_max_s
    FROM parts
    WHERE is_doubtful = 1 AND or_owner IS NOT NULL AND differ(owner, or_owner, '')
),
used AS (
    SELECT
        w.limit_no,
        w.month,
        sum_of(within_part(p.starts_s, p.running_s, w.starts_s, w.ends_s) * p.gpu_nums) AS used_s,
        sum_of(within_part(p.starts_s, p.running_min_s, w.starts_s, w.ends_s) * p.gpu_nums) AS used_min_s,
        sum_of(within_part(p.starts_s, p.running_max_s, w.starts_s, w.ends_s) * p.gpu_nums) AS used_max_s
    FROM wanted w
    JOIN scoped p ON p.scope = w.scope AND p.name = w.name
        AND p.starts_s < w.ends_s AND p.starts_s + p.running_max_s > w.starts_s
    GROUP BY w.limit_no, w.month
),
gap AS MATERIALIZED (
    SELECT account, gap_from_s, gap_to_s FROM sync_gap WHERE EXISTS (SELECT 1 FROM wanted)
),
blind AS (
    SELECT limit_no, month, MAX(is_blind) AS is_blind
    FROM (
        SELECT
            w.limit_no,
            w.month,
            is_blind_time(w.starts_s, earlier(w.ends_s, u.until_s), s.first_s, s.last_s, s.account) AS is_blind
        FROM wanted w
        CROSS JOIN _asked_until u
        JOIN sync_span s ON w.scope <> 'account' OR s.account = w.name
    ) asked
    GROUP BY limit_no, month
),
monthly AS MATERIALIZED (
    SELECT
        w.*,
        COALESCE(u.used_s, 0) AS used_s,
        COALESCE(u.used_min_s, 0) AS used_min_s,
        COALESCE(u.used_max_s, 0) AS used_max_s,
        COALESCE(b.is_blind, 1) AS is_blind
    FROM wanted w
    LEFT JOIN used u ON u.limit_no = w.limit_no AND u.month = w.month
    LEFT JOIN blind b ON b.limit_no = w.limit_no AND b.month = w.month
),
chain AS (
    SELECT
        m.limit_no, m.place, CAST(0 AS BIGINT) AS carried_s, CAST(0 AS BIGINT) AS carried_min_s,
        CAST(0 AS BIGINT) AS carried_max_s
    FROM monthly m
    WHERE m.place = 1
    UNION ALL
    SELECT
        c.limit_no,
        c.place + 1,
        carried_over(m.month_gpu_s + c.carried_s, m.used_s, m.carry_s),
        -- of a month that nobody saw nothing is surely left
        CASE
            WHEN m.is_blind = 1 THEN 0
            ELSE carried_over(m.month_gpu_s + c.carried_min_s, m.used_max_s, m.carry_s)
        END,
        carried_over(m.month_gpu_s + c.carried_max_s, m.used_min_s, m.carry_s)
    FROM chain c
    JOIN monthly m ON m.limit_no = c.limit_no AND m.place = c.place
    WHERE EXISTS (SELECT 1 FROM monthly n WHERE n.limit_no = c.limit_no AND n.place = c.place + 1)
)
SELECT
    m.limit_no,
    m.scope,
    m.name,
    m.month,
    m.starts_s,
    m.ends_s,
    m.month_gpu_s,
    m.used_s,
    m.used_min_s,
    m.used_max_s,
    c.carried_s,
    c.carried_min_s,
    c.carried_max_s,
    m.is_blind
FROM monthly m
JOIN chain c ON c.limit_no = m.limit_no AND c.place = m.place
