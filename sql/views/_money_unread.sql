-- Records of money that the newest whole poll of each resource could not understand: they are in no
-- sum. The records themselves are in `rejected_record`.
-- @column account the account's name
-- @column resource gpu_prices, balance, cards, bills or recharges
-- @column records how many
-- @column polled_at end of that poll
SELECT p.account, r.resource, r.rejected AS records, r.finished_at AS polled_at
FROM (
    SELECT
        a.name AS account,
        (
            SELECT n.sync_run_id FROM sync_run n
            WHERE n.account_id = a.account_id AND n.resource = k.resource
                AND n.outcome IN ('complete', 'partial')
                AND n.listed + n.rejected >= COALESCE(n.reported_total, 0)
            ORDER BY n.sync_run_id DESC LIMIT 1
        ) AS newest_id
    FROM account a
    CROSS JOIN (
        SELECT 'gpu_prices' AS resource UNION ALL SELECT 'balance' UNION ALL SELECT 'cards'
        UNION ALL SELECT 'bills' UNION ALL SELECT 'recharges'
    ) k
) p
JOIN sync_run r ON r.sync_run_id = p.newest_id
WHERE r.rejected > 0
