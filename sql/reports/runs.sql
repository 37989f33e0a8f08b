-- Runs: each run that touches the period, with its whole length, the newest first. With --bounds also
-- the sure minimum and the maximum. A change of GPU without a new start begins a run of its own.
-- @newest first
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column started_at {instant} when it began, UTC
-- @column ended_at {instant} when it ended by the best estimate, UTC; empty: it runs
-- @column hours {unit=h, total, keep} how long it ran; up to the newest complete poll while it runs
-- @column hours_min {unit=h, total} at least
-- @column hours_max {unit=h, total} at most; up to now while it runs
-- @column gpu_nums {int} number of GPUs
-- @column gpu_name {text} GPU model
-- @column gpu_hours {unit=card-h, total} card-hours
-- @column cost_yuan {unit=yuan, total, keep} what it cost, estimate by what is known today; empty: paid ahead, or a price of that time is not known
-- @column evidence {text} observed, booting (not seen up), unseen_run (between two polls), unknown_start or gone
-- @column instance_uuid {text} identity
SELECT
    r.account,
    r.title,
    r.started_at,
    r.ended_at,
    hours(r.running_s) AS hours,
    hours(r.running_min_s) AS hours_min,
    hours(most_until_now(r.is_open, r.running_max_s, r.started_s)) AS hours_max,
    r.gpu_nums,
    r.gpu_name,
    hours(r.gpu_s) AS gpu_hours,
    yuan(r.cost_microcny) AS cost_yuan,
    r.evidence,
    r.instance_uuid
FROM run_cost r
WHERE r.started_at < period_ends_at()
    AND r.started_at >= (SELECT MIN(starts_at) FROM _day_bounds WHERE day >= :begun_day)
    AND (
        r.ended_max IS NULL OR r.ended_max >= period_starts_at()
    )
    AND COALESCE(r.ended_s, r.started_s + r.running_max_s) >= period_starts_s()
    AND account_chosen(r.account)
ORDER BY r.started_s DESC, r.account, r.instance_uuid, r.usage_no
