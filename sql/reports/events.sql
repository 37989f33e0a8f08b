-- Events of instances: created, started, stopped, gone, retitled and so on, newest first. An event lies
-- after `not_before` and not later than `not_after`.
-- @zh 实例的事件：创建、启动、停止、消失、改名等，最新的在前；发生在“不早于”之后、“不晚于”之前。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param event only this kind of event [all, created, started, stopped, restarted, gone, returned, retitled, gpu_changed, image_changed, charging_changed, save_image_changed, timer_set, timer_cleared]
-- @column account {zh=账户} the account's name | 账户名称
-- @column not_before {zh=不早于, instant} it happened after this moment, UTC | 发生在此刻之后
-- @column not_after {zh=不晚于, instant} and not later than this, UTC | 且不晚于此刻
-- @column event {zh=事件} what happened | 发生了什么
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column was {zh=原值} from what | 原来的值
-- @column became {zh=新值} to what | 新的值
-- @column cause {zh=原因} why it stopped, if known: timer or image_saved | 已知的停止原因：定时关机或保存镜像
-- @column instance_uuid {zh=实例ID} identity | 实例标识
WITH found AS MATERIALIZED (
    SELECT account, not_before, not_after, event, title, was, became, cause, instance_uuid
    FROM instance_event
    WHERE account_chosen(account)
        AND CAST(:event AS TEXT) IN ('all', event)
        AND not_after >= period_starts_at()
        AND not_after < period_ends_at()
)
SELECT account, not_before, not_after, event, title, was, became, cause, instance_uuid
FROM found
ORDER BY not_after DESC, instance_uuid, event, COALESCE(was, ''), COALESCE(became, '')
