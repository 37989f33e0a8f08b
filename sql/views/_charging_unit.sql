-- The units of charging codes whose meaning is known, each with what the source charges by that code.
-- @column unit hour, day, week, month or year
SELECT charging_type, unit
FROM charging_type
WHERE unit IS NOT NULL
