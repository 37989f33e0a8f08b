-- The charging model of running time: one row, as `chenyu-etl prices model` sets it, with defaults for
-- values that are not set. Prepaid time is charged as it passes.
-- @column counts_from start (from start_time) or running (from when it has booted)
-- @column step_s what is begun is charged whole: 1, 60 or 3600 seconds
-- @column boot_s seconds after start_time that are not charged, estimate; 0 if it counts from start
-- @column boot_max_s seconds after start_time that are not charged, at most
SELECT
    counts_from,
    step_s,
    CASE WHEN counts_from = 'running' THEN boot_s ELSE 0 END AS boot_s,
    CASE WHEN counts_from = 'running' THEN boot_max_s ELSE 0 END AS boot_max_s
FROM (
    SELECT
        COALESCE(MAX(CASE WHEN name = 'charge_from' THEN value END), 'start') AS counts_from,
        CAST(COALESCE(MAX(CASE WHEN name = 'charge_step_s' THEN value END), '1') AS BIGINT) AS step_s,
        CAST(COALESCE(MAX(CASE WHEN name = 'charge_boot_s' THEN value END), '60') AS BIGINT) AS boot_s,
        CAST(COALESCE(MAX(CASE WHEN name = 'charge_boot_max_s' THEN value END), '180') AS BIGINT)
            AS boot_max_s
    FROM setting
) model
