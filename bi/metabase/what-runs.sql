-- What runs now, the longest first, with its owner, its timer and its price.
SELECT title, owner, project, gpu_nums, gpu_name, running_hours, running_since_local, shutdown_time_local, hour_yuan
FROM instance_now
WHERE is_up
ORDER BY running_since, instance_uuid
