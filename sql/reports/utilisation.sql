-- Utilisation: card-hours that were rented, and how imported samples saw them used: busy, idle or not sampled. The
-- three add up to what was rented. `busy_gpu_hours` and `idle_gpu_hours` are sure; with --bounds also what they
-- can be at most, as what was not sampled can have been either. `idle_yuan` is the cost of the idle card-hours
-- that were seen. A sample speaks for five minutes of the clock: in them a GPU is busy if its mean
-- utilisation is at least what `usage model` shows. Prepaid time in which nothing ran is in report commitment.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [instance, model, project, owner, cost_centre, day, week, month, account]
-- @column account {text} the account's name
-- @column what {text, keep} what the line is about
-- @column instance_uuid {text} identity, by instance
-- @column gpu_hours {unit=card-h, total} card-hours rented, estimate
-- @column gpu_hours_min {unit=card-h, total} at least
-- @column gpu_hours_max {unit=card-h, total} at most
-- @column busy_gpu_hours {unit=card-h, total, keep} busy: at least so many
-- @column busy_gpu_hours_max {unit=card-h, total} at most
-- @column idle_gpu_hours {unit=card-h, total, keep} idle: at least so many
-- @column idle_gpu_hours_max {unit=card-h, total} at most
-- @column unsampled_gpu_hours {unit=card-h, total, keep} without a sample
-- @column sampled_percent {unit=%} share of the rented card-hours that was sampled
-- @column mean_percent {unit=%} mean utilisation while it was sampled
-- @column memory_max_percent {unit=%} most memory of a GPU in use; empty: not known
-- @column idle_yuan {unit=yuan, total, keep} cost of the idle card-hours that were seen, estimate
-- @column idle_yuan_min {unit=yuan, total} at least
-- @column idle_yuan_max {unit=yuan, total} at most, if all that was not sampled was idle
WITH unseen AS unseen_in_period(),
line AS (
    SELECT
        account, day, instance_uuid, title, gpu_name, gpu_uuid, project, owner, cost_centre, gpu_s, gpu_min_s,
        gpu_max_s, seen_s, busy_s, percent_s, memory_max_mb, memory_total_mb
    FROM _load_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        p.account, p.day, p.instance_uuid, p.title, p.gpu_name, p.gpu_uuid, w.project, w.owner, w.cost_centre, 0, 0,
        p.running_max_s * COALESCE(p.gpu_nums, 0), 0, 0, 0, NULL, NULL
    FROM unseen p
    LEFT JOIN allocation w ON is_payer_of(w, p, p.started_s)
    WHERE p.kind = 'running'
),
summed AS (
    SELECT
        account,
        day,
        instance_uuid,
        MAX(title) AS title,
        COALESCE(gpu_name, gpu_uuid, '(unknown)') AS model,
        project,
        owner,
        cost_centre,
        sums_of_load(line)
    FROM line
    GROUP BY 1, 2, 3, 5, 6, 7, 8
),
-- what a card-second of an instance costs on a day: of prepaid time, what holding it costs
cost AS (
    SELECT
        account,
        day,
        instance_uuid,
        COALESCE(sum_of(gpu_s), 0) AS gpu_s,
        sum_of(cost_microcny) AS cost,
        sum_of(cost_min_microcny) AS cost_min,
        sum_of(cost_max_microcny) AS cost_max
    FROM cost_of_period(1 = 0) c
    GROUP BY account, day, instance_uuid
),
day_max AS (
    SELECT account, day, instance_uuid, sum_of(gpu_max_s) AS gpu_max_s
    FROM summed
    GROUP BY account, day, instance_uuid
),
lines AS (
    SELECT
        u.account,
        CASE CAST(:by AS TEXT)
            WHEN 'instance' THEN u.title
            WHEN 'model' THEN u.model
            WHEN 'project' THEN COALESCE(u.project, '(no rule)')
            WHEN 'owner' THEN COALESCE(u.owner, '(no rule)')
            WHEN 'cost_centre' THEN COALESCE(u.cost_centre, '(no rule)')
            WHEN 'day' THEN CAST(u.day AS TEXT)
            WHEN 'week' THEN week_of(u.day)
            WHEN 'month' THEN month_of(u.day)
            ELSE u.account
        END AS what,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN u.instance_uuid END AS instance_uuid,
        used_of_load(u),
        u.percent_s,
        u.seen_s AS all_seen_s,
        CASE WHEN u.memory_total_mb > 0 THEN percent_of_time(u.memory_max_mb, u.memory_total_mb) END
            AS memory_percent,
        CASE WHEN c.gpu_s > 0 THEN scaled(c.cost, (seen_within(u) - busy_within(u)), c.gpu_s) ELSE 0 END AS idle,
        CASE
            WHEN later(m.gpu_max_s, c.gpu_s) > 0
            THEN scaled(c.cost_min, (seen_within(u) - busy_within(u)), later(m.gpu_max_s, c.gpu_s))
            ELSE 0
        END AS idle_min,
        CASE
            WHEN later(m.gpu_max_s, c.gpu_s) > 0
            THEN scaled(
                c.cost_max,
                (later(u.gpu_max_s - seen_within(u), 0) + seen_within(u) - busy_within(u)),
                later(m.gpu_max_s, c.gpu_s)
            )
            ELSE 0
        END AS idle_max
    FROM summed u
    JOIN day_max m ON m.account = u.account AND m.day = u.day AND m.instance_uuid = u.instance_uuid
    LEFT JOIN cost c ON c.account = u.account AND c.day = u.day AND c.instance_uuid = u.instance_uuid
)
SELECT
    account,
    what,
    instance_uuid,
    hours(sum_of(gpu_s)) AS gpu_hours,
    hours(sum_of(gpu_min_s)) AS gpu_hours_min,
    hours(sum_of(gpu_max_s)) AS gpu_hours_max,
    hours(sum_of(busy_s)) AS busy_gpu_hours,
    hours(sum_of(busy_max_s)) AS busy_gpu_hours_max,
    hours(sum_of(idle_s)) AS idle_gpu_hours,
    hours(sum_of(idle_max_s)) AS idle_gpu_hours_max,
    hours(sum_of(unsampled_s)) AS unsampled_gpu_hours,
    CASE WHEN SUM(gpu_s) > 0 THEN percent_of_time(sum_of(seen_s), sum_of(gpu_s)) END AS sampled_percent,
    CASE WHEN SUM(all_seen_s) > 0 THEN percent_of_time(sum_of(percent_s), (100 * sum_of(all_seen_s))) END
        AS mean_percent,
    MAX(memory_percent) AS memory_max_percent,
    yuan(sum_of(idle)) AS idle_yuan,
    yuan(sum_of(idle_min)) AS idle_yuan_min,
    yuan(sum_of(idle_max)) AS idle_yuan_max
FROM lines
WHERE gpu_max_s > 0
GROUP BY account, what, instance_uuid
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'week', 'month') THEN what END,
    COALESCE(SUM(idle), 0) DESC, SUM(gpu_s) DESC, account, what, instance_uuid
