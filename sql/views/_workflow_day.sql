-- What runs of workflows cost, by the day of the reporting time zone on which they ended.
-- @column workflow_microcny what they cost
SELECT w.account_id, c.day, sum_of(w.final_microcny) AS workflow_microcny
FROM workflow_run w
JOIN calendar_day c ON holds(c, epoch(w.ended_at))
WHERE w.superseded_at IS NULL
GROUP BY w.account_id, c.day
