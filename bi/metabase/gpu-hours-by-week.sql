-- Card-hours of each model by week, with their bounds. Show it as stacked bars of gpu_hours.
SELECT
    week,
    gpu_name,
    SUM(gpu_hours) AS gpu_hours,
    SUM(gpu_hours_min) AS at_least,
    SUM(gpu_hours_max) AS at_most
FROM gpu_usage_daily
GROUP BY week, gpu_name
ORDER BY week, gpu_name
