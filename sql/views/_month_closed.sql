-- Months that are closed: their costs are frozen, and every report of money reads those.
-- @column account the account's name
-- @column month the closed month
SELECT m.account_id, a.name AS account, m.month, m.closed_at
FROM closed_month m
JOIN account a ON a.account_id = m.account_id
