-- What each project cost by month: the estimate and its bounds, and how long was charged at no known price.
SELECT
    month,
    COALESCE(project, '(none)') AS project,
    SUM(cost_yuan) AS cost_yuan,
    SUM(cost_min_yuan) AS at_least,
    SUM(cost_max_yuan) AS at_most,
    SUM(unpriced_s) / 3600 AS unpriced_hours
FROM cost_daily
GROUP BY month, project
ORDER BY month, project
