-- Versions: each version of each instance that held in the period, with the facts that a new version
-- begins with, the newest first. It began after `not_before` and not later than `first_seen_at`.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column version {int} number of the version, from 1
-- @column not_before {instant} it began after this moment, UTC; empty: before we looked
-- @column first_seen_at {instant} and not later than this, UTC
-- @column ended_at {instant} when the next was first seen, or the instance was missed, UTC; empty: it still holds
-- @column state {text} meaning of the status code
-- @column gpu {text} number and model of its GPUs
-- @column charging {text} hour, day, week, month or year; empty: unknown
-- @column timer {instant} when it was to be shut down, UTC; empty: no timer was on
-- @column image {text} image and tag
-- @column began_by {text} first_seen, changed or returned
-- @column instance_uuid {text} identity
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
