-- Runs: each run that touches the period, with its whole length, the newest first. With --bounds also
-- the sure minimum and the maximum. A change of GPU without a new start begins a run of its own.
-- @zh 期间内的每次运行及其全长，最新的在前；加 --bounds 时含下限和上限。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column started_at {zh=开始, instant} when it began, UTC | 开始时间
-- @column ended_at {zh=结束, instant} when it ended by the best estimate, UTC; empty: it runs | 结束时间的最佳估计；空：仍在运行
-- @column hours {zh=运行时长, unit=h, total} how long it ran; up to the newest complete poll while it runs | 运行时长；仍在运行时算到最近一次完整轮询
-- @column hours_min {zh=至少运行, unit=h, total} at least | 下限
-- @column hours_max {zh=至多运行, unit=h, total} at most; up to now while it runs | 上限；仍在运行时算到现在
-- @column gpu_nums {zh=卡数, int} number of GPUs | 卡数
-- @column gpu_name {zh=显卡型号} GPU model | 显卡型号
-- @column gpu_hours {zh=租用卡时, unit=card-h, total} card-hours | 卡时
-- @column cost_yuan {zh=费用, unit=yuan, total} what it cost, estimate by what is known today; empty: paid ahead, or a price of that time is not known | 按现有信息估计的费用；空：包期，或当时价格未知
-- @column evidence {zh=依据} observed, booting (not seen up), unseen_run (between two polls), unknown_start or gone | 依据的观测方式
-- @column instance_uuid {zh=实例ID} identity | 实例标识
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
WHERE r.started_s < period_ends_s()
    AND (
        r.ended_max IS NULL OR r.ended_max >= period_starts_at()
    )
    AND COALESCE(r.ended_s, r.started_s + r.running_max_s) >= period_starts_s()
    AND account_chosen(r.account)
ORDER BY r.started_s DESC, r.account, r.instance_uuid, r.usage_no
