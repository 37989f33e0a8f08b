-- What runs for a day or more without a timer, and what it has cost since it was started.
SELECT n.title, n.owner, n.project, n.running_hours, n.hour_yuan, r.cost_yuan
FROM instance_now n
LEFT JOIN run_cost r
    ON r.account = n.account AND r.instance_uuid = n.instance_uuid AND r.is_open
WHERE n.is_up AND n.shutdown_time IS NULL AND n.running_hours >= 24
ORDER BY n.running_hours DESC, n.instance_uuid
