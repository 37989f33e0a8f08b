-- One row for each stretch of running time (kind 'running'), and of prepaid time (kind 'held').
-- The three ends bound it: it surely ran until `ended_min`, by the best estimate until `ended_at`, at
-- the latest until `ended_max`; all null while open. An open stretch counts up to the horizon: the
-- start of the newest complete poll, for a missing instance its last sighting. `running_*_s` are
-- seconds, `gpu_*_s` seconds times the number of GPUs (rented card-time, not utilisation).
-- `is_run` is false for time in which a run is only possible: leave it out when runs are counted.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column is_run whether it counts as a run
-- @column started_s epoch seconds
-- @column ended_min_s epoch seconds; null while open
-- @column ended_s epoch seconds; null while open
-- @column ended_max_s epoch seconds; null while open
-- @column running_s seconds, estimate; open: up to the horizon
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column gpu_s card-seconds, estimate
-- @column gpu_min_s card-seconds, at least
-- @column gpu_max_s card-seconds, at most
-- @column observed_until_s until when the account was observed: start of its newest complete poll, epoch seconds
-- @column hours running time in hours, estimate
-- @column hours_min at least
-- @column hours_max at most
-- @column gpu_hours card-hours, estimate
-- @column gpu_hours_min at least
-- @column gpu_hours_max at most
-- @column started_local its start by the clocks of the reporting time zone
-- @column ended_local its end by those clocks; null while open
-- @column end_evidence what the estimate of its stop rests on: exact, timer, settled, status or middle; settled of a possible_run: the bill knows when the run after it began; null: open, or no stop is estimated
SELECT
    account,
    instance_uuid,
    title,
    usage_no,
    kind,
    evidence,
    flag(kind <> 'held' AND is_run(spans)) AS is_run,
    started_at,
    ended_min,
    ended_at,
    ended_max,
    started_s,
    ended_min_s,
    ended_s,
    ended_max_s,
    running_s,
    running_min_s,
    running_max_s,
    running_s * gpu_nums AS gpu_s,
    running_min_s * gpu_nums AS gpu_min_s,
    running_max_s * gpu_nums AS gpu_max_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type,
    observed_until_s,
    in_hours(running_s) AS hours,
    in_hours(running_min_s) AS hours_min,
    in_hours(running_max_s) AS hours_max,
    in_hours(running_s * gpu_nums) AS gpu_hours,
    in_hours(running_min_s * gpu_nums) AS gpu_hours_min,
    in_hours(running_max_s * gpu_nums) AS gpu_hours_max,
    local_of(started_s) AS started_local,
    local_of(ended_s) AS ended_local,
    end_evidence
FROM (
    SELECT
        l.*,
        CASE
            WHEN ended_s IS NOT NULL THEN ended_s - started_s
            -- of a boot that goes on nothing is sure, nor of a start after the newest poll
            WHEN evidence = 'booting' OR horizon_s < started_s THEN 0
            ELSE horizon_s - started_s
        END AS running_s,
        CASE
            WHEN ended_s IS NOT NULL THEN ended_min_s - started_s
            WHEN evidence = 'booting' OR horizon_s < started_s THEN 0
            ELSE horizon_s - started_s
        END AS running_min_s,
        CASE
            WHEN ended_s IS NOT NULL THEN ended_max_s - started_s
            WHEN horizon_max_s < started_s THEN 0
            ELSE horizon_max_s - started_s
        END AS running_max_s
    FROM (
        SELECT
            a.name AS account,
            u.instance_uuid,
            i.title,
            u.usage_no,
            u.kind,
            u.evidence,
            u.started_at,
            u.ended_min,
            u.ended_at,
            u.ended_max,
            epoch(u.started_at) AS started_s,
            epoch(u.ended_min) AS ended_min_s,
            epoch(u.ended_at) AS ended_s,
            epoch(u.ended_max) AS ended_max_s,
            u.gpu_uuid,
            u.gpu_name,
            u.gpu_nums,
            u.charging_type,
            epoch(h.last_at) AS observed_until_s,
            u.end_evidence,
            epoch(seen_until(i, h)) AS horizon_s,
            epoch(maybe_until(i, h)) AS horizon_max_s
        FROM instance_usage u
        JOIN instance i ON is_instance_of(i, u)
        JOIN account a ON a.account_id = u.account_id
        LEFT JOIN _sync_horizon h ON h.account_id = u.account_id
    ) l
) spans
