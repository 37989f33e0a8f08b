-- Corrections of the bounds of cost by payer, for usage of open months during which a change of title or image, by
-- which another pays or tags differ, was not seen yet: who paid so far is sure of none of it, and who pays then may have all of it. Lines
-- like those of `_cost_line`, to be added to them where cost is told by payer. Estimates are 0.
-- @column account the account's name
-- @column settled estimated
-- @column or_project project of the other one
-- @column or_owner owner of the other one
-- @column or_cost_centre cost centre of the other one
-- @column or_tags tags of the other one
-- @column cost_microcny 0
-- @column cost_min_microcny what is less sure; below 0, millionths of a yuan
-- @column cost_max_microcny what is more possible; millionths of a yuan
WITH doubted AS (
    -- from the few in doubt to their parts: in an order of its own SQLite would read all parts
    SELECT w.project, w.owner, w.cost_centre, w.tags, w.or_project, w.or_owner, w.or_cost_centre, w.or_tags,
        columns_of_cost(p)
    FROM allocation w
    CROSS JOIN usage_cost p
    WHERE w.is_doubtful = 1 AND is_payer_of(w, p, p.starts_s)
    UNION ALL
    SELECT w.project, w.owner, w.cost_centre, w.tags, w.or_project, w.or_owner, w.or_cost_centre, w.or_tags,
        columns_of_cost(p)
    FROM allocation w
    JOIN _cost_open p ON is_payer_of(w, p, p.starts_s)
    WHERE w.is_doubtful = 1
)
SELECT
    a.name AS account,
    d.account_id,
    d.day,
    d.kind,
    d.instance_uuid,
    i.title,
    CASE s.is_other WHEN 0 THEN d.project ELSE d.or_project END AS project,
    CASE s.is_other WHEN 0 THEN d.owner ELSE d.or_owner END AS owner,
    CASE s.is_other WHEN 0 THEN d.cost_centre ELSE d.or_cost_centre END AS cost_centre,
    CASE s.is_other WHEN 0 THEN d.tags ELSE d.or_tags END AS tags,
    CASE s.is_other WHEN 0 THEN d.or_project ELSE d.project END AS or_project,
    CASE s.is_other WHEN 0 THEN d.or_owner ELSE d.owner END AS or_owner,
    CASE s.is_other WHEN 0 THEN d.or_cost_centre ELSE d.cost_centre END AS or_cost_centre,
    CASE s.is_other WHEN 0 THEN d.or_tags ELSE d.tags END AS or_tags,
    d.price_source,
    CAST('estimated' AS TEXT) AS settled,
    CAST(0 AS BIGINT) AS cost_microcny,
    -- taken from who paid so far: of this part nothing is sure
    CAST(CASE s.is_other WHEN 0 THEN -d.cost_min_microcny ELSE 0 END AS BIGINT) AS cost_min_microcny,
    -- given to who may pay instead: all of it, at most
    CAST(CASE s.is_other WHEN 0 THEN 0 ELSE d.cost_max_microcny END AS BIGINT) AS cost_max_microcny
FROM doubted d
CROSS JOIN (SELECT 0 AS is_other UNION ALL SELECT 1 AS is_other) s
JOIN account a ON a.account_id = d.account_id
JOIN instance i ON is_instance_of(i, d)
LEFT JOIN closed_month m ON m.account_id = d.account_id AND m.month = month_of(d.day)
WHERE m.month IS NULL AND d.cost_microcny IS NOT NULL
