-- Events of instances: created, started, stopped, gone, retitled and so on, newest first. An event lies
-- after `not_before` and not later than `not_after`.
-- @newest first
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param event only this kind of event [all, created, started, stopped, restarted, gone, returned, retitled, gpu_changed, image_changed, charging_changed, save_image_changed, timer_set, timer_cleared]
-- @column account {text} the account's name
-- @column not_before {instant} it happened after this moment, UTC
-- @column not_after {instant} and not later than this, UTC
-- @column event {text, keep} what happened
-- @column title {text, keep} the user's name for the instance
-- @column was {text} from what
-- @column became {text} to what
-- @column cause {text} why it stopped, if known: timer or image_saved
-- @column instance_uuid {text} identity
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
