-- One row for each stretch of time in which an instance listed a service unchanged, over its whole
-- history: what `instance_service` shows, and when. It came after `not_before` and not later than
-- `not_after`.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column listed_in server_url (addresses alone) or server_map (with titles and logins)
-- @column service its title in server_map
-- @column url its address, without user, password and query
-- @column port_type http or ssh
-- @column protocol tcp
-- @column host that of the login, else that of the address
-- @column port that of the login, else that of the address; null: the usual one of its protocol
-- @column username user of the login
-- @column not_before it was not listed yet at this moment; null: it was there before we looked
-- @column not_after it was first seen then
-- @column until it was no longer listed then; null: it still is
-- @column not_before_s epoch seconds
-- @column not_after_s epoch seconds
-- @column until_s epoch seconds
-- @column not_after_local not_after by the clocks of the reporting time zone
-- @column until_local until by the clocks of the reporting time zone
WITH turn AS (
    -- the versions whose services differ from those before: only their JSON is read
    SELECT
        account_id,
        instance_uuid,
        version,
        server_url,
        server_map,
        began_by,
        ROW_NUMBER() OVER turns AS turn_no,
        LEAD(version) OVER turns - 1 AS last_version
    FROM (
        SELECT
            account_id,
            instance_uuid,
            version,
            server_url,
            server_map,
            began_by,
            COALESCE(server_url, '') || ' ' || COALESCE(server_map, '') AS listing,
            LAG(COALESCE(server_url, '') || ' ' || COALESCE(server_map, '')) OVER versions AS listing_before
        FROM instance_history
        WINDOW versions AS (PARTITION BY account_id, instance_uuid ORDER BY version)
    ) compared
    WHERE listing_before IS NULL OR listing <> listing_before OR began_by = 'returned'
    WINDOW turns AS (PARTITION BY account_id, instance_uuid ORDER BY version)
)
SELECT
    a.name AS account,
    s.instance_uuid,
    i.title,
    s.listed_in,
    s.service,
    s.url,
    s.port_type,
    s.protocol,
    s.host,
    s.port,
    s.username,
    f.after_at AS not_before,
    f.first_seen_at AS not_after,
    l.ended_at AS until,
    epoch(f.after_at) AS not_before_s,
    epoch(f.first_seen_at) AS not_after_s,
    epoch(l.ended_at) AS until_s,
    local_of(epoch(f.first_seen_at)) AS not_after_local,
    local_of(epoch(l.ended_at)) AS until_local
FROM (
    SELECT
        account_id,
        instance_uuid,
        listed_in,
        service,
        url,
        port_type,
        protocol,
        host,
        port,
        username,
        MIN(version) AS first_version,
        -- null: up to the newest version
        CASE WHEN COUNT(*) = COUNT(last_version) THEN MAX(last_version) END AS last_version
    FROM (
        SELECT n.*, SUM(begins) OVER (services_of(n) ORDER BY version) AS stretch
        FROM (
            SELECT
                v.*,
                t.last_version,
                CASE
                    WHEN t.turn_no - 1 = LAG(t.turn_no) OVER (services_of(v) ORDER BY v.version)
                        AND COALESCE(t.began_by, '') <> 'returned'
                    THEN 0
                    ELSE 1
                END AS begins
            FROM (SELECT DISTINCT * FROM _service_listed(turn AS instance_history) l) v
            JOIN turn t ON is_instance_of(t, v) AND t.version = v.version
        ) n
    ) numbered
    GROUP BY
        account_id, instance_uuid, listed_in, service, url, port_type, protocol, host, port, username, stretch
) s
JOIN account a ON a.account_id = s.account_id
JOIN instance i ON is_instance_of(i, s)
JOIN instance_history f ON is_instance_of(f, s) AND f.version = s.first_version
JOIN instance_history l ON is_instance_of(l, s) AND l.version = COALESCE(s.last_version, i.version)
