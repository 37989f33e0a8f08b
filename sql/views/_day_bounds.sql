-- Days of the reporting time zone with their bounds as instants: compared with instants as they are
-- stored, so that an index on those helps.
-- @column starts_at its first second
-- @column ends_at the first second of the next day
SELECT day, instant(starts_s) AS starts_at, instant(ends_s) AS ends_at FROM calendar_day
