-- Timeline: every stretch of running time that touches the period, by instance, oldest first: surely
-- for `sure_s` seconds from its start, by the best estimate for `likely_s`, at most for `most_s`. A
-- stretch in which a run is only possible has the evidence possible_run.
-- @zh 期间内每段运行时间，按实例，最早的在前：确定的、估计的和最多的秒数。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column started_at {zh=开始, instant} when it began, UTC | 开始时间
-- @column sure_s {zh=确定时长, unit=s, int} seconds that it surely lasted | 确定的秒数
-- @column likely_s {zh=估计时长, unit=s, int} seconds by the best estimate | 最佳估计的秒数
-- @column most_s {zh=至多时长, unit=s, int} seconds at most; until now if it still runs | 最多的秒数；仍在运行时算到现在
-- @column is_open {zh=仍在运行, int} 1 when it still runs | 1：仍在运行
-- @column gpu_nums {zh=卡数, int} number of GPUs | 卡数
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column evidence {zh=依据} observed, booting, unseen_run, unknown_start, possible_run or gone | 依据的观测方式
-- @column instance_uuid {zh=实例ID} identity | 实例标识
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
