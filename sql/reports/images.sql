-- Images: each saving of an instance's image that was seen in the period, failed ones first, then the
-- newest. A state began after `not_before` and not later than `not_after`. The state in
-- which an instance was first seen is left out if it is `uploaded`: new ones show it too.
-- @zh 期间内观测到的镜像保存，失败的在前，然后从新到旧。
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param state only those that are [any, failed, uploading, uploaded, unknown]
-- @column account {zh=账户} the account's name | 账户名称
-- @column title {zh=名称} the user's name for the instance | 用户给实例的名称
-- @column state {zh=保存状态} uploading, uploaded, failed, or unknown for unknown codes | 上传中、已上传、失败或未知
-- @column not_before {zh=不早于, instant} it began after this moment, UTC; empty: before we looked | 开始于此刻之后；空：早于首次轮询
-- @column not_after {zh=不晚于, instant} and not later than this, UTC | 且不晚于此刻
-- @column until {zh=持续至, instant} when the next state was first seen, UTC; empty: it still holds | 首次观测到下一状态的时间；空：仍是此状态
-- @column minutes {zh=持续分钟, unit=min, int} minutes from not_after until then; empty: it still holds | 从“不晚于”到那时的分钟数；空：仍是此状态
-- @column image {zh=镜像} image and tag that the instance ran on | 实例运行的镜像与标签
-- @column instance_uuid {zh=实例ID} identity | 实例标识
WITH period AS (
    SELECT MIN(starts_s) AS starts_s, MAX(ends_s) AS ends_s
    FROM calendar_day
    WHERE in_period(day)
)
SELECT
    s.account,
    s.title,
    s.state,
    s.not_before,
    s.not_after,
    s.until,
    minutes(s.until_s - s.not_after_s) AS minutes,
    s.image_name || COALESCE(':' || s.image_tag, '') AS image,
    s.instance_uuid
FROM image_save s
CROSS JOIN period p
WHERE s.not_after_s >= p.starts_s AND s.not_after_s < p.ends_s
    AND account_chosen(s.account)
    AND CAST(:state AS TEXT) IN ('any', s.state)
    AND (NOT s.is_first OR s.state <> 'uploaded')
ORDER BY CASE s.state WHEN 'failed' THEN 0 ELSE 1 END, s.not_after_s DESC, s.account, s.instance_uuid
