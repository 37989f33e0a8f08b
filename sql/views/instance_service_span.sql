-- One row for each stretch of time in which an instance listed a service unchanged, over its whole
-- history: what `instance_service` shows, and when. It came after `not_before` and not later than
-- `not_after`. Ask for one instance: all of them take a while.
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
        MAX(version) AS last_version
    FROM (
        SELECT
            n.*,
            SUM(begins) OVER (
                PARTITION BY
                    account_id, instance_uuid, listed_in, service, url, port_type, protocol, host, port, username
                ORDER BY version
            ) AS stretch
        FROM (
            SELECT
                v.*,
                CASE
                    WHEN v.version - 1 = LAG(v.version) OVER (
                        PARTITION BY
                            v.account_id, v.instance_uuid, listed_in, service, url, port_type, protocol, host,
                            port, username
                        ORDER BY v.version
                    ) AND COALESCE(h.began_by, '') <> 'returned'
                    THEN 0
                    ELSE 1
                END AS begins
            FROM (SELECT DISTINCT * FROM _service_listed) v
            JOIN instance_history h ON is_instance_of(h, v) AND h.version = v.version
        ) n
    ) numbered
    GROUP BY
        account_id, instance_uuid, listed_in, service, url, port_type, protocol, host, port, username, stretch
) s
JOIN account a ON a.account_id = s.account_id
JOIN instance i ON is_instance_of(i, s)
JOIN instance_history f ON is_instance_of(f, s) AND f.version = s.first_version
JOIN instance_history l ON is_instance_of(l, s) AND l.version = s.last_version
