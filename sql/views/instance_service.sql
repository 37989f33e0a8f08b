-- One row for each service of each instance that is not gone, as the newest poll left it: each address in
-- `server_url`, and each entry of `server_map`, which has its title and how to log in. What the source
-- lists twice is here twice. Passwords and tokens are never stored.
-- @column account the account's name
-- @column listed_in server_url (addresses alone) or server_map (with titles and logins)
-- @column service its title in server_map
-- @column url its address, without user, password and query
-- @column port_type http or ssh
-- @column protocol tcp
-- @column host that of the login, else that of the address
-- @column port that of the login, else that of the address; null: the usual one of its protocol
-- @column username user of the login
WITH present AS (
    SELECT account_id, instance_uuid, version, server_url, server_map
    FROM instance
    WHERE gone_at IS NULL
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
    s.username
FROM _service_listed(present AS instance_history) s
JOIN account a ON a.account_id = s.account_id
JOIN instance i ON is_instance_of(i, s)
