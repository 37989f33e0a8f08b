-- What usage that still goes on has cost so far: every part of an open stretch at every price that held
-- meanwhile, up to the horizon. Says the same as `etl/money/charging.py` says of closed stretches. Where no
-- price is known, or not how many GPUs it has, amounts are null.
-- @column starts_s start of the part, epoch seconds
-- @column ends_s its end by the best estimate, epoch seconds
-- @column kind running or held
-- @column used_s seconds of usage, estimate
-- @column charged_s seconds charged, estimate
-- @column charged_min_s at least
-- @column charged_max_s at most
-- @column cost_microcny estimate
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_cost_microcny at list prices
SELECT
    account_id,
    day,
    instance_uuid,
    usage_no,
    kind,
    CAST(usage_started_s + begins AS BIGINT) AS starts_s,
    CAST(usage_started_s + ends AS BIGINT) AS ends_s,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type,
    image_uuid,
    CAST(CASE WHEN gpus IS NULL THEN 'unknown' ELSE price_source END AS TEXT) AS price_source,
    CAST(ends - begins AS BIGINT) AS used_s,
    CAST(charged_s AS BIGINT) AS charged_s,
    CAST(charged_min_s AS BIGINT) AS charged_min_s,
    CAST(charged_max_s AS BIGINT) AS charged_max_s,
    CAST((charged_s * (gpus * price_microcny + flat_microcny) + per_s / 2) / per_s AS BIGINT)
        AS cost_microcny,
    CAST(charged_min_s * (gpus * price_min_microcny + flat_microcny) / per_s AS BIGINT)
        AS cost_min_microcny,
    CAST(
        (charged_max_s * (gpus * price_max_microcny + flat_microcny) + per_s - 1) / per_s AS BIGINT
    ) AS cost_max_microcny,
    CAST((charged_s * gpus * list_microcny + list_per_s / 2) / list_per_s AS BIGINT)
        AS list_cost_microcny
FROM (
    SELECT
        s.*,
        ((CASE WHEN ends > boot_s THEN ends - boot_s ELSE 0 END) + step_s - 1) / step_s * step_s
        - ((CASE WHEN begins > boot_s THEN begins - boot_s ELSE 0 END) + step_s - 1) / step_s * step_s
            AS charged_s,
        CASE
            WHEN steps_known = 0 THEN CASE
                WHEN ends_min <= boot_max_s THEN 0
                WHEN begins >= boot_max_s THEN (ends_min - begins) / most_step_s * most_step_s
                ELSE (ends_min - boot_max_s) / most_step_s * most_step_s
            END
            WHEN ends_min <= boot_max_s THEN 0
            WHEN (ends_min - boot_max_s + step_s - 1) / step_s <= (begins + step_s - 1) / step_s THEN 0
            ELSE ((ends_min - boot_max_s + step_s - 1) / step_s - (begins + step_s - 1) / step_s) * step_s
        END AS charged_min_s,
        CASE
            WHEN steps_known = 0
            THEN (ends_max - begins + most_step_s - 1) / most_step_s * most_step_s
            ELSE (ends_max + step_s - 1) / step_s * step_s - (
                (CASE WHEN begins > boot_max_s THEN begins - boot_max_s ELSE 0 END) + step_s - 1
            ) / step_s * step_s
        END AS charged_max_s
    FROM (
        SELECT
            u.account_id,
            u.day,
            u.instance_uuid,
            u.usage_no,
            u.kind,
            u.usage_started_s,
            u.gpu_uuid,
            u.gpu_name,
            u.gpu_nums,
            u.charging_type,
            u.image_uuid,
            CASE WHEN u.gpu_nums >= 0 AND u.gpu_nums <= 64 THEN u.gpu_nums END AS gpus,
            p.price_source,
            p.per_s,
            p.price_microcny,
            p.price_min_microcny,
            p.price_max_microcny,
            p.flat_microcny,
            p.list_per_s,
            p.list_microcny,
            CASE
                WHEN u.kind = 'held' OR u.evidence = 'possible_run' THEN 1 ELSE m.step_s
            END AS step_s,
            CASE WHEN u.kind = 'held' THEN 1 ELSE m.step_s END AS most_step_s,
            CASE
                WHEN u.kind = 'held' OR m.step_s = 1
                    OR u.evidence IN ('possible_run', 'unknown_start', 'gone') THEN 0
                ELSE 1
            END AS steps_known,
            CASE
                WHEN u.kind = 'held' OR u.evidence IN ('possible_run', 'unknown_start') THEN 0
                ELSE m.boot_s
            END AS boot_s,
            CASE
                WHEN u.kind = 'held' OR u.evidence IN ('possible_run', 'unknown_start') THEN 0
                ELSE m.boot_max_s
            END AS boot_max_s,
            CASE WHEN p.starts_s > u.started_s THEN p.starts_s ELSE u.started_s END
                - u.usage_started_s AS begins,
            CASE
                WHEN p.ends_s < u.started_s + u.running_s THEN p.ends_s
                WHEN p.starts_s > u.started_s + u.running_s THEN p.starts_s
                ELSE u.started_s + u.running_s
            END - u.usage_started_s AS ends,
            CASE
                WHEN p.ends_s < u.started_s + u.running_min_s THEN p.ends_s
                WHEN p.starts_s > u.started_s + u.running_min_s THEN p.starts_s
                ELSE u.started_s + u.running_min_s
            END - u.usage_started_s AS ends_min,
            CASE
                WHEN p.ends_s < u.started_s + u.running_max_s THEN p.ends_s
                ELSE u.started_s + u.running_max_s
            END - u.usage_started_s AS ends_max
        FROM usage_open_part u
        CROSS JOIN charging_model m
        JOIN price_period p
            ON p.account_id = u.account_id
            AND p.gpu_uuid = COALESCE(u.gpu_uuid, '')
            AND p.gpu_name = COALESCE(u.gpu_name, '')
            AND p.image_uuid = COALESCE(u.image_uuid, '')
            AND p.charging_type = COALESCE(u.charging_type, -1)
            AND p.no_card = CASE WHEN u.gpu_nums = 0 THEN 1 ELSE 0 END
            AND p.kind = u.kind
            AND p.starts_s < u.started_s + u.running_max_s
            AND p.ends_s > u.started_s
    ) s
) c
