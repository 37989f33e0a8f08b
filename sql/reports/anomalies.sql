-- Anomalies: days of the period that cost much more or less than usual, by account, project, owner, model and
-- instance, the newest first, each with the machine that did most of it and why. Usual is the median of the same
-- weekday in the eight weeks before, else of the fourteen days before, at least three of them. Only whole days of which at least half was observed are judged. Changes that cancel each other out in the account are
-- seen in its parts, and marked.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param percent at least so many percent off [= 50]
-- @param yuan and at least so many yuan off [= 100]
-- @column day {day} day of the reporting time zone
-- @column account {text} the account's name
-- @column scope {text, keep} what the line is about: account, project, owner, model or instance
-- @column name {text, keep} its name
-- @column cost_yuan {unit=yuan, keep} what the day cost, estimate
-- @column cost_yuan_min {unit=yuan} at least
-- @column cost_yuan_max {unit=yuan} at most
-- @column usual_yuan {unit=yuan} what such a day usually costs
-- @column change_yuan {unit=yuan, keep} the difference
-- @column change_percent {unit=%} the difference as a share of the usual; empty: usually nothing
-- @column is_sure {int} 1 if it is out of the ordinary at every cost within the bounds
-- @column masked {int} 1 if the account's day looks usual, since others moved against it
-- @column reason {text, keep} why: new machine, new model, price, night, more hours, fewer hours, did not run
-- @column machine {text, keep} the instance that did most of it
-- @column machine_change_yuan {unit=yuan} its own difference
-- @column instance_uuid {text} identity of that instance
SELECT
    o.day,
    o.account,
    o.scope,
    o.name,
    yuan(o.cost) AS cost_yuan,
    yuan(o.cost_min) AS cost_yuan_min,
    yuan(o.cost_max) AS cost_yuan_max,
    yuan(o.usual) AS usual_yuan,
    yuan(o.change) AS change_yuan,
    CASE
        WHEN o.change > 0 THEN percent_of(o.change, o.usual)
        ELSE -percent_of((-o.change), o.usual)
    END AS change_percent,
    o.is_sure,
    o.is_masked AS masked,
    o.reason,
    o.by_title AS machine,
    yuan(o.by_change) AS machine_change_yuan,
    o.by_uuid AS instance_uuid
FROM days_out_of_line(
    :from_day, :to_day, CAST(:percent AS BIGINT), CAST(:yuan AS BIGINT) * {MICRO}
) o
WHERE account_chosen(o.account)
ORDER BY o.day DESC, later(o.change, -o.change) DESC, o.account, o.scope, o.name, o.by_uuid
