-- Where each running machine can be reached.
SELECT n.title, s.service, s.url, s.host, s.port, s.username
FROM instance_service s
JOIN instance_now n ON n.account = s.account AND n.instance_uuid = s.instance_uuid
WHERE n.is_up AND s.listed_in = 'server_map'
ORDER BY n.title, n.instance_uuid, s.service
