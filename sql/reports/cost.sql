-- Cost: the cost of usage by the best estimate, with the share that the bill has settled; with --bounds
-- also the sure minimum and the maximum, which assumes that all that ran at the newest complete poll
-- has run on. `unpriced_hours` were charged at a price that is not known and
-- are in no amount. Usage that no allocation rule matches is a line of its own. Amounts are exact to the
-- millionth, so lines add up to the same sum however they are grouped.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [instance, project, owner, cost_centre, model, image, charging_type, day, week, month, account, tag:KEY]
-- @column account {text} the account's name
-- @column what {text} what the line is about
-- @column instance_uuid {text} identity, by instance
-- @column gpu_hours {unit=card-h, total} card-hours, estimate
-- @column cost_yuan {unit=yuan, total, keep} estimate
-- @column cost_yuan_min {unit=yuan, total} at least
-- @column cost_yuan_max {unit=yuan, total} at most
-- @column list_yuan {unit=yuan, total} the cost of this usage at list prices
-- @column settled_percent {unit=%} share of the cost that the bill has settled
-- @column unpriced_hours {unit=h, total} hours charged at a price that is not known
WITH unseen AS unseen_in_period(),
used AS cost_of_period(is_payer_in_doubt()),
lines AS (
    SELECT
        l.account,
        CASE CAST(:by AS TEXT)
            WHEN 'instance' THEN l.title
            WHEN 'account' THEN l.account
            WHEN 'model' THEN COALESCE(l.gpu_name, l.gpu_uuid, '(unknown)')
            WHEN 'image' THEN COALESCE(l.image_uuid, '(unknown)')
            WHEN 'charging_type' THEN COALESCE(CAST(l.charging_type AS TEXT), '(unknown)')
            WHEN 'day' THEN CAST(l.day AS TEXT)
            WHEN 'week' THEN (SELECT c.week FROM calendar_day c WHERE c.day = l.day)
            WHEN 'month' THEN month_of(l.day)
            ELSE payer_by(l.project, l.owner, l.cost_centre, l.tags)
        END AS what,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN l.instance_uuid END AS instance_uuid,
        sum_of(l.gpu_s) AS gpu_s,
        sum_of(l.cost_microcny) AS cost_microcny,
        sum_of(l.cost_min_microcny) AS cost_min_microcny,
        sum_of(l.cost_max_microcny) AS cost_max_microcny,
        sum_of(l.list_cost_microcny) AS list_cost_microcny,
        sum_of(CASE WHEN l.settled = 'settled' THEN l.cost_microcny ELSE 0 END)
            AS settled_microcny,
        sum_of(l.unpriced_s) AS unpriced_s,
        sum_of(l.unpriced_max_s) AS unpriced_max_s
    FROM used l
    GROUP BY 1, 2, 3
)
SELECT
    account,
    what,
    instance_uuid,
    hours(gpu_s) AS gpu_hours,
    yuan(cost_microcny) AS cost_yuan,
    yuan(cost_min_microcny) AS cost_yuan_min,
    yuan(cost_max_microcny) AS cost_yuan_max,
    yuan(list_cost_microcny) AS list_yuan,
    percent_of(settled_microcny, cost_microcny) AS settled_percent,
    hours(unpriced_s) AS unpriced_hours
FROM lines
WHERE cost_max_microcny > 0 OR unpriced_max_s > 0
ORDER BY
    CASE WHEN CAST(:by AS TEXT) IN ('day', 'week', 'month') THEN what END,
    COALESCE(cost_microcny, -1) DESC, COALESCE(gpu_s, -1) DESC, account, what, instance_uuid
