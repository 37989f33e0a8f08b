-- Timeline: every stretch of running time that touches the period, by instance, oldest first: surely
-- for `sure_s` seconds from its start, by the best estimate for `likely_s`, at most for `most_s`. A
-- stretch in which a run is only possible has the evidence possible_run.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column started_at {instant} when it began, UTC
-- @column sure_s {unit=s, int} seconds that it surely lasted
-- @column likely_s {unit=s, int} seconds by the best estimate
-- @column most_s {unit=s, int} seconds at most; until now if it still runs
-- @column is_open {int} 1 when it still runs
-- @column gpu_nums {int} number of GPUs
-- @column gpu_name {text} GPU model
-- @column evidence {text} observed, booting, unseen_run, unknown_start, possible_run or gone
-- @column instance_uuid {text} identity
SELECT
    s.account,
    s.title,
    s.started_at,
    s.running_min_s AS sure_s,
    s.running_s AS likely_s,
    most_until_now(s.ended_s IS NULL, s.running_max_s, s.started_s) AS most_s,
    CASE WHEN s.ended_s IS NULL THEN 1 ELSE 0 END AS is_open,
    s.gpu_nums,
    s.gpu_name,
    s.evidence,
    s.instance_uuid
FROM usage_span s
WHERE s.kind = 'running'
    AND s.started_s < period_ends_s()
    AND (s.ended_max IS NULL OR s.ended_max >= period_starts_at())
    AND s.running_max_s > 0
    AND account_chosen(s.account)
ORDER BY s.account, s.title, s.instance_uuid, s.started_s, s.usage_no
