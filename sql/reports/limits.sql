-- Leases and limits: what each allows, what is used of it, what is left, when it ends or will be used up if what runs
-- now runs on, and how it stands: surely over, over by the estimate, perhaps over, unknown (too little was observed),
-- or within. Card-hours are those of the months of the period, all else is of the newest poll. Bounds hold what may
-- have run since the newest poll. This program only reads: it never stops an instance.
-- @param from_day any day of the first month
-- @param to_day any day of the last month
-- @column state {text, keep} surely over, over, perhaps over, unknown or within
-- @column kind {text, keep} until (hours after it), hours, gpus (of an instance), together (GPUs at a time), card_hours (of a month)
-- @column scope {text} instance, account, project or owner
-- @column name {text, keep} its name; of an instance the title
-- @column account {text} its account; empty: of a project or owner
-- @column month {text} the month of card-hours
-- @column allowed {number, keep} hours, card-hours or GPUs, with those carried over
-- @column carried {number} of them, carried over from the month before
-- @column used {number, keep} hours, card-hours or GPUs, estimate
-- @column used_min {number} at least
-- @column used_max {number} at most
-- @column remaining {number} what is left, estimate; below 0: used too much
-- @column used_percent {unit=%, keep} share that is used; empty: nothing is allowed
-- @column ends_at {instant} when the lease or the month ends
-- @column used_up_at {instant} when it is used up, if what runs now runs on; empty: not before it ends
-- @column running_gpus {int} GPUs that run now
-- @column instance_uuid {text} identity of the instance
SELECT
    state,
    kind,
    scope,
    name,
    account,
    month,
    in_unit(kind, allowed) AS allowed,
    in_unit(kind, carried) AS carried,
    in_unit(kind, used) AS used,
    in_unit(kind, used_min) AS used_min,
    in_unit(kind, used_max) AS used_max,
    CASE WHEN used > allowed THEN -in_unit(kind, used - allowed) ELSE in_unit(kind, allowed - used) END AS remaining,
    CASE WHEN allowed > 0 THEN percent_of_time(used, allowed) END AS used_percent,
    instant(ends_s) AS ends_at,
    instant(used_up_s) AS used_up_at,
    running_gpus,
    instance_uuid
FROM limits_until(CAST(:now AS BIGINT)) l
WHERE month IS NULL OR (month >= month_of(:from_day) AND month <= month_of(:to_day))
ORDER BY
    CASE state
        WHEN 'surely over' THEN 1 WHEN 'over' THEN 2 WHEN 'perhaps over' THEN 3 WHEN 'unknown' THEN 4 ELSE 5
    END,
    kind, scope, COALESCE(name, ''), COALESCE(month, ''), COALESCE(account, ''), COALESCE(instance_uuid, ''), entry_no
