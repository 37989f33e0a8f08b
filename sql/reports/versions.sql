-- Versions: each version of each instance that held in the period, with the facts that a new version
-- begins with, the newest first. It began after `not_before` and not later than `first_seen_at`.
-- @zh 期内每台实例的每个版本及其内容，最新的在前。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column version {zh=版本, int} number of the version, from 1 | 版本号，从 1 起
-- @column not_before {zh=不早于, instant} it began after this moment, UTC; empty: before we looked | 在此之后开始；空：开始观测之前
-- @column first_seen_at {zh=首次观测, instant} and not later than this, UTC | 不晚于此时
-- @column ended_at {zh=结束, instant} when the next was first seen, or the instance was missed, UTC; empty: it still holds | 首次看到下一版本或未再列出的时间；空：仍然有效
-- @column state {zh=状态} meaning of the status code | 状态代码的含义
-- @column gpu {zh=显卡} number and model of its GPUs | 显卡数量和型号
-- @column charging {zh=计费} hour, day, week, month or year; empty: unknown | 计费单位；空：未知
-- @column timer {zh=定时关机, instant} when it was to be shut down, UTC; empty: no timer was on | 定时关机时间；空：没有定时
-- @column image {zh=镜像} image and tag | 镜像和标签
-- @column began_by {zh=起因} first_seen, changed or returned | 起因：首次出现、变更或重新出现
-- @column instance_uuid {zh=实例ID} identity | 实例标识
SELECT
    account,
    title,
    version,
    after_at AS not_before,
    first_seen_at,
    ended_at,
    state,
    gpus(gpu_nums, gpu_name) AS gpu,
    charging_unit AS charging,
    shutdown_time AS timer,
    image_name || COALESCE(':' || image_tag, '') AS image,
    began_by,
    instance_uuid
FROM instance_version
WHERE first_seen_at < period_ends_at() AND (ended_at IS NULL OR ended_at >= period_starts_at())
    AND account_chosen(account)
ORDER BY first_seen_s DESC, account, instance_uuid, version DESC
