-- Daily: cost of each instance on each day, with its card-hours and who pays, the oldest day first; with
-- --bounds also the sure minimum and the maximum. A day on which another begins to pay has a line for each.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column day {day} day of the reporting time zone
-- @column account {text} the account's name
-- @column title {text, keep} the user's name for the instance
-- @column project {text} the project that pays; empty: no rule matches
-- @column owner {text} who it is for; empty: no rule matches
-- @column gpu_name {text} GPU model
-- @column gpu_hours {unit=card-h, total, keep} card-hours, estimate
-- @column cost_yuan {unit=yuan, total, keep} estimate
-- @column cost_yuan_min {unit=yuan, total} at least
-- @column cost_yuan_max {unit=yuan, total} at most
-- @column unpriced_hours {unit=h, total} hours charged at a price that is not known
-- @column instance_uuid {text} identity
WITH unseen AS unseen_in_period(),
used AS (
    SELECT
        account, day, instance_uuid, title, project, owner, gpu_uuid, gpu_name, gpu_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, unpriced_s, unpriced_max_s
    FROM _cost_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, gpu_uuid, gpu_name, gpu_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, unpriced_s, unpriced_max_s
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
)
SELECT
    day,
    account,
    title,
    project,
    owner,
    gpu_name,
    hours(gpu_s) AS gpu_hours,
    yuan(cost_microcny) AS cost_yuan,
    yuan(cost_min_microcny) AS cost_yuan_min,
    yuan(cost_max_microcny) AS cost_yuan_max,
    hours(unpriced_s) AS unpriced_hours,
    instance_uuid
FROM (
    SELECT
        l.day,
        l.account,
        l.title,
        l.project,
        l.owner,
        COALESCE(l.gpu_name, l.gpu_uuid) AS gpu_name,
        l.instance_uuid,
        sum_of(l.gpu_s) AS gpu_s,
        sum_of(l.cost_microcny) AS cost_microcny,
        sum_of(l.cost_min_microcny) AS cost_min_microcny,
        sum_of(l.cost_max_microcny) AS cost_max_microcny,
        sum_of(l.unpriced_s) AS unpriced_s,
        sum_of(l.unpriced_max_s) AS unpriced_max_s
    FROM used l
    GROUP BY
        l.day, l.account, l.title, l.project, l.owner, COALESCE(l.gpu_name, l.gpu_uuid), l.instance_uuid
) lines
WHERE cost_max_microcny > 0 OR unpriced_max_s > 0
ORDER BY day, account, title, instance_uuid, project, owner, gpu_name
