-- What usage would be charged in each unit, whatever it is charged by: a price for each GPU model and image in
-- use while it holds. Your own prices come before those of the list; null: not known.
-- @column unit hour, day, week or month
-- @column per_s seconds that the prices are for
-- @column price_microcny of one GPU, estimate; millionths of a yuan
-- @column price_min_microcny at least
-- @column price_max_microcny at most
-- @column flat_microcny of the instance, whatever its GPUs
SELECT
    account_id,
    gpu_uuid,
    gpu_name,
    image_uuid,
    no_card,
    CAST(
        CASE charging_type
            WHEN {OFFERED_HOUR} THEN 'hour'
            WHEN {OFFERED_DAY} THEN 'day'
            WHEN {OFFERED_WEEK} THEN 'week'
            ELSE 'month'
        END AS TEXT
    ) AS unit,
    starts_s,
    ends_s,
    per_s,
    price_microcny,
    price_min_microcny,
    price_max_microcny,
    flat_microcny
FROM price_period
WHERE charging_type IN ({OFFERED_HOUR}, {OFFERED_DAY}, {OFFERED_WEEK}, {OFFERED_MONTH})
