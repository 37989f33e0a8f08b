-- Private images that are stored now, each with the application that it belongs to and the instances that
-- use it. Whether stored volume costs anything is not known.
-- @column account the account's name
-- @column size_gb its size, gigabytes
-- @column created_s when it was made, epoch seconds
-- @column stored_since end of the poll that first saw it as it is
-- @column instances instances that use it and are not gone
-- @column running of them, those that run
SELECT
    a.name AS account,
    i.uuid AS image_uuid,
    i.title,
    i.remark,
    i.layer_count,
    i.size_mb,
    i.size_mb / 1000.0 AS size_gb,
    i.pod_uuid,
    i.pod_tag,
    i.save_image_status,
    i.create_time,
    epoch(i.create_time) AS created_s,
    i.first_seen_at AS stored_since,
    (
        SELECT COUNT(*) FROM instance_now n
        WHERE n.account = a.name AND n.image_uuid = i.uuid
    ) AS instances,
    (
        SELECT COUNT(*) FROM instance_now n
        WHERE n.account = a.name AND n.image_uuid = i.uuid AND n.is_up
    ) AS running
FROM private_image i
JOIN account a ON a.account_id = i.account_id
WHERE i.ended_at IS NULL
