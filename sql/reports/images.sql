-- Images: each saving of an instance's image that was seen in the period, failed ones first, then the
-- newest. A state began after `not_before` and not later than `not_after`. The state in
-- which an instance was first seen is left out if it is `uploaded`: new ones show it too.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param state only those that are [any, failed, uploading, uploaded, unknown]
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column state {text} uploading, uploaded, failed, or unknown for unknown codes
-- @column not_before {instant} it began after this moment, UTC; empty: before we looked
-- @column not_after {instant} and not later than this, UTC
-- @column until {instant} when the next state was first seen, UTC; empty: it still holds
-- @column minutes {unit=min, int} minutes from not_after until then; empty: it still holds
-- @column image {text} image and tag that the instance ran on
-- @column instance_uuid {text} identity
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
