-- The bill of each month, put down to those who ran something: an attribution, no bill names anybody.
SELECT
    month,
    COALESCE(owner, '(none)') AS owner,
    SUM(amount_yuan) AS amount_yuan,
    SUM(cash_yuan) AS from_balance,
    SUM(card_yuan) AS from_cards
FROM bill_attributed_daily
GROUP BY month, owner
ORDER BY month, owner
