-- One row for each run of `run_span` with its cost: the sum of its parts in `_cost_part`, by what is known
-- today, in closed months too. Null if it was paid ahead, or if a price of its time, or its number of
-- GPUs, is not known.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column usage_no of the stretch
-- @column evidence observed, booting (not yet seen up), unseen_run (fell between two polls), unknown_start, possible_run (no run may have been), gone
-- @column is_open whether it still runs
-- @column started_s epoch seconds
-- @column ended_s epoch seconds; null while open
-- @column running_s seconds, estimate; open: up to the horizon
-- @column running_min_s seconds, at least
-- @column running_max_s seconds, at most
-- @column gpu_s card-seconds, estimate
-- @column cost_microcny estimate; millionths of a yuan
-- @column cost_yuan estimate, yuan
-- @column hours running time in hours, estimate
-- @column hours_min at least
-- @column hours_max at most
-- @column gpu_hours card-hours, estimate
-- @column started_local its start by the clocks of the reporting time zone
-- @column ended_local its end by those clocks; null while open
WITH open_part AS MATERIALIZED (
    -- apart, or SQLite reads all stretches in the order of the grouping to find the open ones
    SELECT account_id, instance_uuid, usage_no, cost_microcny FROM _cost_open
),
open_cost AS MATERIALIZED (
    SELECT
        account_id,
        instance_uuid,
        usage_no,
        known_sum(cost_microcny) AS cost_microcny
    FROM open_part
    GROUP BY account_id, instance_uuid, usage_no
)
SELECT c.*, yuan(c.cost_microcny) AS cost_yuan
FROM (
    SELECT
        r.account,
        r.instance_uuid,
        r.title,
        r.usage_no,
        r.evidence,
        r.is_open,
        r.started_at,
        r.ended_at,
        r.ended_max,
        r.started_s,
        r.ended_s,
        r.running_s,
        r.running_min_s,
        r.running_max_s,
        r.gpu_s,
        r.gpu_name,
        r.gpu_nums,
        r.hours,
        r.hours_min,
        r.hours_max,
        r.gpu_hours,
        r.started_local,
        r.ended_local,
        CASE
            WHEN r.is_open
            -- asked for the few that are open: joined, Postgres would compare every run with each of them
            THEN (
                SELECT o.cost_microcny
                FROM open_cost o
                WHERE o.account_id = a.account_id AND o.instance_uuid = r.instance_uuid
                    AND o.usage_no = r.usage_no
            )
            ELSE (
                SELECT
                    known_sum(c.cost_microcny)
                FROM usage_cost c
                WHERE c.account_id = a.account_id AND c.instance_uuid = r.instance_uuid
                    AND c.usage_no = r.usage_no
            )
        END AS cost_microcny
    FROM run_span r
    JOIN account a ON a.name = r.account
) c
