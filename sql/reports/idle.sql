-- Idle suspects: instances that ran in the period, by hours in the night (0 to 8 o'clock, the first
-- eight hours of the local day) and on weekends, and those that run for long without a timer. Their
-- load in that time is not known: ask the owners.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param hours what counts as running for long, hours [= 12]
-- @column account {text} the account's name
-- @column title {text} the user's name for the instance
-- @column suspect {int, keep} 1 if it runs now without a timer for at least that long
-- @column running_hours {unit=h} hours of the run that goes on now
-- @column timer {instant} when it will be shut down, UTC; empty: no timer, or it does not run
-- @column owner {text} who it is for
-- @column project {text} project that pays
-- @column yuan_per_hour {unit=yuan, total, keep} what it costs an hour while it runs; empty: not running, or not known
-- @column hours {unit=h, total} hours of running time in the period
-- @column night_hours {unit=h, total} of them between 0 and 8 o'clock
-- @column weekend_hours {unit=h, total} of them on Saturday and Sunday
-- @column nights {int, total} nights in which it ran for at least four hours
-- @column night_gpu_hours {unit=card-h, total} card-hours between 0 and 8 o'clock
-- @column weekend_gpu_hours {unit=card-h, total} card-hours on Saturday and Sunday
-- @column instance_uuid {text} identity
WITH used AS (
    SELECT
        account,
        instance_uuid,
        MAX(title) AS title,
        sum_of(running_s) AS running_s,
        sum_of(night_s) AS night_s,
        sum_of(weekend_s) AS weekend_s,
        sum_of(night_gpu_s) AS night_gpu_s,
        sum_of(weekend_gpu_s) AS weekend_gpu_s,
        sum_of(CASE WHEN night_s >= {NIGHT_RUN_S} THEN 1 ELSE 0 END) AS nights
    FROM night_weekend_daily
    WHERE in_period(day)
        AND account_chosen(account)
    GROUP BY account, instance_uuid
),
lines AS (
    SELECT
        u.*,
        n.shutdown_time,
        n.owner,
        n.project,
        n.hour_microcny,
        CASE WHEN n.as_of_s > n.running_since_s THEN n.as_of_s - n.running_since_s END AS run_s,
        CASE
            WHEN n.shutdown_time_s IS NULL
                AND n.as_of_s - n.running_since_s >= CAST(:hours AS BIGINT) * {HOUR_S}
            THEN 1
            ELSE 0
        END AS suspect
    FROM used u
    LEFT JOIN instance_now n ON n.account = u.account AND n.instance_uuid = u.instance_uuid
    WHERE u.running_s > 0
)
SELECT
    account,
    title,
    suspect,
    hours(run_s) AS running_hours,
    CASE WHEN run_s IS NOT NULL THEN shutdown_time END AS timer,
    owner,
    project,
    yuan(hour_microcny) AS yuan_per_hour,
    hours(running_s) AS hours,
    hours(night_s) AS night_hours,
    hours(weekend_s) AS weekend_hours,
    nights,
    hours(night_gpu_s) AS night_gpu_hours,
    hours(weekend_gpu_s) AS weekend_gpu_hours,
    instance_uuid
FROM lines
ORDER BY suspect DESC, night_s + weekend_s DESC, running_s DESC, account, instance_uuid
