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
SELECT
    a.name AS account,
    p.account_id,
    p.day,
    p.kind,
    p.instance_uuid,
    i.title,
    w.project,
    w.owner,
    w.cost_centre,
    w.tags,
    w.or_project,
    w.or_owner,
    w.or_cost_centre,
    w.or_tags,
    p.price_source,
    CAST('estimated' AS TEXT) AS settled,
    CAST(0 AS BIGINT) AS cost_microcny,
    -- taken from who paid so far: of this part nothing is sure
    CAST(-p.cost_min_microcny AS BIGINT) AS cost_min_microcny,
    CAST(0 AS BIGINT) AS cost_max_microcny
FROM allocation w
JOIN _cost_part p ON is_payer_of(w, p, p.starts_s)
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN closed_month m ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE w.is_doubtful = 1 AND m.month IS NULL AND p.cost_microcny IS NOT NULL
UNION ALL
SELECT
    a.name,
    p.account_id,
    p.day,
    p.kind,
    p.instance_uuid,
    i.title,
    w.or_project,
    w.or_owner,
    w.or_cost_centre,
    w.or_tags,
    w.project,
    w.owner,
    w.cost_centre,
    w.tags,
    p.price_source,
    CAST('estimated' AS TEXT),
    CAST(0 AS BIGINT),
    CAST(0 AS BIGINT),
    -- given to who may pay instead: all of it, at most
    p.cost_max_microcny
FROM allocation w
JOIN _cost_part p ON is_payer_of(w, p, p.starts_s)
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN closed_month m ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE w.is_doubtful = 1 AND m.month IS NULL AND p.cost_microcny IS NOT NULL
