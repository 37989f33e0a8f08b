-- The cost so far of usage that still goes on: every part of an open stretch, at every price and for every
-- payer that held meanwhile, up to the horizon. By the formulas of closed stretches, see
-- `etl/money/formulas.py`. If no price is known, or not how many GPUs it has, amounts are null.
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
    -- for a number of GPUs that cannot be right no price holds, whatever the list says
    CAST(CASE WHEN gpus IS NULL THEN 'unknown' ELSE price_source END AS TEXT) AS price_source,
    CAST(ends - begins AS BIGINT) AS used_s,
    CAST(charged_s AS BIGINT) AS charged_s,
    CAST(charged_min_s AS BIGINT) AS charged_min_s,
    CAST(charged_max_s AS BIGINT) AS charged_max_s,
    CAST(amount(charged_s, rate(gpus, price_microcny, flat_microcny), per_s) AS BIGINT)
        AS cost_microcny,
    CAST(amount_min(charged_min_s, rate(gpus, price_min_microcny, flat_microcny), per_s) AS BIGINT)
        AS cost_min_microcny,
    CAST(amount_max(charged_max_s, rate(gpus, price_max_microcny, flat_microcny), per_s) AS BIGINT)
        AS cost_max_microcny,
    CAST(amount(charged_s, rate(gpus, list_microcny, 0), list_per_s) AS BIGINT) AS list_cost_microcny
FROM (
    SELECT
        s.*,
        charged(begins, ends, boot_s, step_s) AS charged_s,
        charged_min(begins, ends_min, boot_max_s, most_step_s, steps_known = 1) AS charged_min_s,
        charged_max(begins, ends_max, boot_max_s, most_step_s, steps_known = 1) AS charged_max_s
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
            chargeable_gpus(u.gpu_nums) AS gpus,
            p.price_source,
            p.per_s,
            p.price_microcny,
            p.price_min_microcny,
            p.price_max_microcny,
            p.flat_microcny,
            p.list_per_s,
            p.list_microcny,
            step_of(u.kind, u.evidence, m.step_s) AS step_s,
            most_step_of(u.kind, m.step_s) AS most_step_s,
            CASE WHEN knows_steps(u.kind, u.evidence, m.step_s) THEN 1 ELSE 0 END AS steps_known,
            boot_of(u.kind, u.evidence, m.boot_s) AS boot_s,
            boot_of(u.kind, u.evidence, m.boot_max_s) AS boot_max_s,
            later(both_from_s(p, w), u.started_s) - u.usage_started_s AS begins,
            clamped(u.started_s + u.running_s, both_from_s(p, w), both_to_s(p, w))
                - u.usage_started_s AS ends,
            clamped(u.started_s + u.running_min_s, both_from_s(p, w), both_to_s(p, w))
                - u.usage_started_s AS ends_min,
            clamped(u.started_s + u.running_max_s, both_from_s(p, w), both_to_s(p, w))
                - u.usage_started_s AS ends_max
        FROM _usage_open_part u
        CROSS JOIN _charging_model m
        JOIN price_period p
            ON is_price_of(p, u)
            AND p.kind = u.kind
            AND p.starts_s < u.started_s + u.running_max_s
            AND p.ends_s > u.started_s
        LEFT JOIN allocation w  -- without holes, or nothing
            ON is_instance_of(w, u)
            AND w.starts_s < earlier(p.ends_s, u.started_s + u.running_max_s)
            AND w.ends_s > later(p.starts_s, u.started_s)
    ) s
) c
