-- Failed starts: boots that were never seen to come up, the newest first, and boots that go on for
-- longer than they should.
-- @zh 从未观测到成功的启动，最新的在前，以及启动过久的实例。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param minutes a boot that goes on is listed after so many minutes [= 10]
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column started_at {zh=开始, instant} when the boot began, UTC | 开始启动的时间
-- @column over_at {zh=不晚于, instant} it was over not later than this, UTC; empty: it goes on | 最迟在此刻结束；空：仍在启动
-- @column minutes {zh=至多分钟, unit=min, int} at most so many minutes | 最多的分钟数
-- @column seen {zh=观测方式} booting (seen to boot, then off), still booting, or afterwards (stopped abnormally between two polls) | 观测到启动、仍在启动，或两次轮询之间异常停止
-- @column state_after {zh=之后状态} the state seen next; empty: started anew, or still booting | 随后观测到的状态；空：重新启动或仍在启动
-- @column gpu_nums {zh=卡数, int} number of GPUs | 卡数
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column instance_uuid {zh=实例ID} identity | 实例标识
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
