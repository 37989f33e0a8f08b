-- Failed starts: boots that were never seen to come up, the newest first, and boots that go on for
-- longer than they should.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param minutes a boot that goes on is listed after so many minutes [= 10]
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column started_at {instant} when the boot began, UTC
-- @column over_at {instant} it was over not later than this, UTC; empty: it goes on
-- @column minutes {unit=min, int, keep} at most so many minutes
-- @column seen {text} booting (seen to boot, then off), still booting, or afterwards (stopped abnormally between two polls)
-- @column state_after {text} the state seen next; empty: started anew, or still booting
-- @column gpu_nums {int} number of GPUs
-- @column gpu_name {text} GPU model
-- @column instance_uuid {text} identity
SELECT
    f.account,
    f.title,
    f.started_at,
    f.over_at,
    minutes(f.waited_s) AS minutes,
    f.seen,
    f.state_after,
    f.gpu_nums,
    f.gpu_name,
    f.instance_uuid
FROM failed_start f
WHERE f.started_at >= period_starts_at()
    AND f.started_at < period_ends_at()
    AND (f.over_s IS NOT NULL OR f.waited_s >= 60 * CAST(:minutes AS BIGINT))
    AND account_chosen(f.account)
ORDER BY f.started_s DESC, f.account, f.instance_uuid
