-- Leases of instances and limits of accounts, projects and owners, as of the newest complete poll: what each allows,
-- what is used of it with bounds, when it ends, and how that stands. Nothing is ever stopped by it.
-- @column kind until, hours, gpus (of an instance), together (GPUs at a time of all), card_hours (of a month)
-- @column scope instance, account, project or owner
-- @column name its name; of an instance the title
-- @column account account of the instance, or the account itself; null: of a project or owner
-- @column instance_uuid identity of the instance; null: of more than one
-- @column month the month of card_hours; null: of now
-- @column allowed hours, card-hours or GPUs, with those carried over; of until 0: hours after it
-- @column carried of them, carried over from the month before
-- @column used hours, card-hours or GPUs, estimate
-- @column used_min at least
-- @column used_max at most
-- @column ends_s when the lease or the month ends, epoch seconds; null: never
-- @column used_up_s when it is used up if what runs now runs on, epoch seconds; null: not before it ends
-- @column running_gpus GPUs that run now
-- @column state surely over, over, perhaps over, unknown or within
SELECT
    kind,
    scope,
    name,
    account,
    instance_uuid,
    month,
    in_unit(kind, allowed) AS allowed,
    in_unit(kind, carried) AS carried,
    in_unit(kind, used) AS used,
    in_unit(kind, used_min) AS used_min,
    in_unit(kind, used_max) AS used_max,
    ends_s,
    used_up_s,
    running_gpus,
    state
FROM _limit_line
