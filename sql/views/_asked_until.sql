-- The moment up to which leases and limits are asked for: the newest complete poll. Reports put the present in its
-- place.
-- @column until_s epoch seconds
SELECT MAX(last_s) AS until_s FROM sync_span
