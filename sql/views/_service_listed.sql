-- Every service in `server_url` and `server_map` of every version of an instance. Other views call it
-- with the rows that they mean in place of the history.
-- @column listed_in server_url (addresses alone) or server_map (with titles and logins)
-- @column service its title in server_map
-- @column url its address, without user, password and query
-- @column port_type http or ssh
-- @column protocol tcp
-- @column host that of the login, else that of the address
-- @column port that of the login, else that of the address; null: the usual one of its protocol
-- @column username user of the login
SELECT
    account_id,
    instance_uuid,
    version,
    listed_in,
    service,
    url,
    port_type,
    protocol,
    COALESCE(
        ssh_host,
        NULLIF(
            CASE
                WHEN SUBSTR(authority, 1, 1) = '[' THEN before(authority, ']') || ']'
                ELSE before(authority, ':')
            END,
            ''
        )
    ) AS host,
    COALESCE(
        digits(ssh_port),
        CASE
            WHEN SUBSTR(authority, 1, 1) = '[' THEN digits(after(authority, ']:'))
            ELSE digits(after(authority, ':'))
        END
    ) AS port,
    username
FROM (
    SELECT l.*, before(COALESCE(after(url, '://'), url), '/') AS authority
    FROM (
        SELECT columns_of_service(h, s, 'server_url')
        FROM instance_history h
        CROSS JOIN json_items(h.server_url) s
        WHERE h.server_url IS NOT NULL
        UNION ALL
        SELECT columns_of_service(h, s, 'server_map')
        FROM instance_history h
        CROSS JOIN json_items(h.server_map) s
        WHERE h.server_map IS NOT NULL
    ) l
) listed
WHERE service IS NOT NULL OR url IS NOT NULL OR ssh_host IS NOT NULL
