-- Forecast: what each account, project, owner or tag will have spent at the end of the month, with a band that holds
-- it in four months of five if they go on spending as in the eight weeks before. Running time is continued at the
-- level of the newest fourteen whole days and the shape of the week; what is prepaid now is held on at its price.
-- The band says what is usual, not what is sure. Days of which gaps take more than half are left out, and with
-- fewer than fourteen days of history there is no band. See also report budget, which continues the month alone.
-- @param account only this account, or all
-- @param to_day any day of the month
-- @param by a line for each [account, project, owner, tag:KEY]
-- @column month {text} month
-- @column account {text} the account's name
-- @column what {text, keep} the account, project, owner or value of the tag
-- @column spent_yuan {unit=yuan, total, keep} spent so far, estimate
-- @column prepaid_yuan {unit=yuan, total} what is prepaid now, for the rest of the month
-- @column usual_day_yuan {unit=yuan, total} running time on a usual day, the mean of the newest fourteen
-- @column forecast_yuan {unit=yuan, total, keep} at the month's end
-- @column low_yuan {unit=yuan, keep} lower end of the band; empty: too little history
-- @column high_yuan {unit=yuan, keep} upper end of the band
-- @column history_days {int} days of history that it goes by
WITH span AS (
    SELECT s.account, s.first_s, s.last_s, d.starts_s AS today_s
    FROM sync_span s
    JOIN calendar_day d ON holds(d, s.last_s)
    WHERE account_chosen(s.account)
),
period AS (
    SELECT MIN(day) AS first_day, MAX(day) AS last_day, MAX(ends_s) AS ends_s
    FROM calendar_day
    WHERE month = month_of(:to_day)
),
weekdays AS MATERIALIZED (
    SELECT day, starts_s, ends_s, weekday
    FROM local_day
    WHERE starts_s >= (SELECT MIN(today_s) FROM span) - {FORECAST_DAYS} * {DAY_S} - {DAY_S}
        AND starts_s < (SELECT ends_s FROM period)
),
blind AS (
    SELECT g.account, d.day
    FROM sync_gap g
    JOIN weekdays d ON d.ends_s > g.gap_from_s AND d.starts_s < g.gap_to_s
    GROUP BY g.account, d.day, d.starts_s, d.ends_s
    HAVING is_mostly_unseen(earlier(g.gap_to_s, d.ends_s) - later(g.gap_from_s, d.starts_s), d.ends_s - d.starts_s)
),
-- whole days before today, seen at least by half
past AS (
    SELECT s.account, d.day, d.weekday, d.starts_s
    FROM span s
    JOIN weekdays d ON d.starts_s >= s.first_s AND d.ends_s <= s.today_s
        AND d.starts_s > s.today_s - {FORECAST_DAYS} * {DAY_S} - {HOUR_S} * 2
    WHERE NOT EXISTS (SELECT 1 FROM blind b WHERE b.account = s.account AND b.day = d.day)
),
daily AS (
    SELECT
        account,
        CASE WHEN is_by_payer() THEN payer_by(project, owner, cost_centre, tags) ELSE account END AS what,
        day,
        sum_of(COALESCE(cost_microcny, 0)) AS cost,
        sum_of(CASE WHEN kind = 'running' THEN COALESCE(cost_microcny, 0) ELSE 0 END) AS ran
    FROM _cost_line
    WHERE day >= (SELECT MIN(day) FROM weekdays)
        AND day <= (SELECT last_day FROM period)
        AND account_chosen(account)
    GROUP BY 1, 2, 3
    UNION ALL
    -- of the month itself, if it began before these weeks
    SELECT
        account,
        CASE WHEN is_by_payer() THEN payer_by(project, owner, cost_centre, tags) ELSE account END,
        day,
        sum_of(COALESCE(cost_microcny, 0)),
        0
    FROM _cost_line
    WHERE day < (SELECT MIN(day) FROM weekdays)
        AND day >= (SELECT first_day FROM period)
        AND day <= (SELECT last_day FROM period)
        AND account_chosen(account)
    GROUP BY 1, 2, 3
),
prepaid AS (
    SELECT
        n.account,
        CASE WHEN is_by_payer() THEN payer_by(n.project, n.owner, NULL, n.tags) ELSE n.account END AS what,
        sum_of(scaled(n.hour_microcny, later(p.ends_s - s.last_s, 0), {HOUR_S})) AS cost
    FROM instance_now n
    JOIN span s ON s.account = n.account
    CROSS JOIN period p
    WHERE n.charging_unit <> 'hour'
    GROUP BY 1, 2
),
spender AS (
    SELECT account, what, sum_of(CASE WHEN day >= (SELECT first_day FROM period) THEN cost ELSE 0 END) AS spent
    FROM daily
    GROUP BY account, what
    UNION ALL
    SELECT account, what, 0
    FROM prepaid p
    WHERE NOT EXISTS (SELECT 1 FROM daily d WHERE d.account = p.account AND d.what = p.what)
),
-- a day without a cost since the first with one was a day of nothing
history AS (
    SELECT
        f.account,
        f.what,
        p.weekday,
        COALESCE(d.ran, 0) AS ran,
        ROW_NUMBER() OVER (PARTITION BY f.account, f.what ORDER BY p.starts_s DESC) AS ago
    FROM (
        SELECT d.account, d.what, MIN(p.starts_s) AS first_s
        FROM daily d
        JOIN past p ON p.account = d.account AND p.day = d.day
        WHERE d.ran > 0
        GROUP BY d.account, d.what
    ) f
    JOIN past p ON p.account = f.account AND p.starts_s >= f.first_s
    LEFT JOIN daily d ON d.account = f.account AND d.what = f.what AND d.day = p.day
),
usual AS (
    SELECT
        account,
        what,
        CAST(COUNT(*) AS BIGINT) AS n,
        sum_of(ran) AS ran,
        sum_of(CASE WHEN ago <= {FORECAST_LEVEL_DAYS} THEN ran ELSE 0 END)
            / SUM(CASE WHEN ago <= {FORECAST_LEVEL_DAYS} THEN 1 ELSE 0 END) AS level
    FROM history
    GROUP BY account, what
),
-- millionths of a mean day; with two more days of the mean a single Monday is no rule yet
shape AS (
    SELECT
        u.account,
        u.what,
        w.weekday,
        CASE
            WHEN u.ran / 100000 > 0
            THEN (COALESCE(sum_of(h.ran), 0) / 100000 * u.n + 2 * (u.ran / 100000)) * 1000000
                / ((COUNT(h.ago) + 2) * (u.ran / 100000))
            ELSE 1000000
        END AS millionths
    FROM usual u
    CROSS JOIN (SELECT DISTINCT weekday FROM weekdays) w
    LEFT JOIN history h ON h.account = u.account AND h.what = u.what AND h.weekday = w.weekday
    GROUP BY u.account, u.what, w.weekday, u.n, u.ran
),
-- in tenths of a yuan, so that squares of a fortnight fit 64 bits
residual AS (
    SELECT
        h.account,
        h.what,
        h.ago,
        (h.ran - u.ran / u.n / 1000 * s.millionths / 1000) / 100000 AS off
    FROM history h
    JOIN usual u ON u.account = h.account AND u.what = h.what
    JOIN shape s ON s.account = h.account AND s.what = h.what AND s.weekday = h.weekday
),
-- a machine that runs for days makes days alike: so weeks and fortnights are looked at, too
spread AS (
    SELECT account, what, sum_of(off * off) / (COUNT(*) - 1) AS square
    FROM residual
    GROUP BY account, what
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT account, what, sum_of(off * off) / (COUNT(*) - 1) / 7
    FROM (
        SELECT account, what, sum_of(off) AS off
        FROM residual
        GROUP BY account, what, (ago - 1) / 7
        HAVING COUNT(*) = 7
    ) weeks
    GROUP BY account, what
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT account, what, sum_of(off * off) / (COUNT(*) - 1) / 14
    FROM (
        SELECT account, what, sum_of(off) AS off
        FROM residual
        GROUP BY account, what, (ago - 1) / 14
        HAVING COUNT(*) = 14
    ) fortnights
    GROUP BY account, what
    HAVING COUNT(*) > 1
),
to_come AS (
    SELECT
        u.account,
        u.what,
        sum_of(scaled(
            u.level / 1000 * s.millionths / 1000, d.ends_s - later(d.starts_s, v.last_s), d.ends_s - d.starts_s
        )) AS ran,
        sum_of(d.ends_s - later(d.starts_s, v.last_s)) AS left_s
    FROM usual u
    JOIN span v ON v.account = u.account
    CROSS JOIN period p
    JOIN weekdays d ON d.ends_s > v.last_s AND d.day >= p.first_day AND d.day <= p.last_day
    JOIN shape s ON s.account = u.account AND s.what = u.what AND s.weekday = d.weekday
    GROUP BY u.account, u.what
),
-- of a sum of days the spread grows with their root, and the level itself is known by fourteen days alone
band AS (
    SELECT
        t.account,
        t.what,
        whole_root(MAX(s.square)) * whole_root(
            (t.left_s * 1000 / {DAY_S})
            * (({FORECAST_LEVEL_DAYS} * {DAY_S} + t.left_s) * 1000 / ({FORECAST_LEVEL_DAYS} * {DAY_S}))
        ) * {FORECAST_WIDTH} AS half
    FROM to_come t
    JOIN spread s ON s.account = t.account AND s.what = t.what
    GROUP BY t.account, t.what, t.left_s
),
lines AS (
    SELECT
        g.account,
        g.what,
        g.spent,
        COALESCE(p.cost, 0) AS prepaid,
        COALESCE(u.level, 0) AS level,
        COALESCE(u.n, 0) AS n,
        g.spent + COALESCE(p.cost, 0) + COALESCE(t.ran, 0) AS forecast,
        CASE
            WHEN t.left_s IS NULL THEN 0
            WHEN u.n >= {FORECAST_LEVEL_DAYS} THEN COALESCE(b.half, 0)
        END AS half
    FROM spender g
    LEFT JOIN usual u ON u.account = g.account AND u.what = g.what
    LEFT JOIN to_come t ON t.account = g.account AND t.what = g.what
    LEFT JOIN band b ON b.account = g.account AND b.what = g.what
    LEFT JOIN prepaid p ON p.account = g.account AND p.what = g.what
)
SELECT
    month_of(:to_day) AS month,
    account,
    what,
    yuan(spent) AS spent_yuan,
    yuan(prepaid) AS prepaid_yuan,
    yuan(level) AS usual_day_yuan,
    yuan(forecast) AS forecast_yuan,
    -- what is spent and paid ahead stays spent
    CASE WHEN half IS NOT NULL THEN yuan(later(forecast - half, spent + prepaid)) END AS low_yuan,
    yuan(forecast + half) AS high_yuan,
    n AS history_days
FROM lines
WHERE forecast > 0
ORDER BY forecast DESC, account, what
