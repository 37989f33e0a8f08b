-- The bill against the estimate by day, each difference with its cause.
SELECT day, billed_yuan, estimated_yuan, estimated_min_yuan, estimated_max_yuan, difference_yuan, cause
FROM reconciliation_daily
ORDER BY day DESC, account
