-- Every part of usage at every price that held meanwhile: the base of all costs. Hourly charging counts
-- running time by the charging model, prepaid charging the time for which an instance was held.
-- Seconds are charged from the start of the stretch on, so the parts of a stretch add up. Each amount is
-- rounded once. If no price is known, or the number of GPUs is not, amounts are null.
-- @column starts_s start of the part, epoch seconds
-- @column ends_s its end by the best estimate, epoch seconds
-- @column kind running or held
-- @column used_s seconds of usage, estimate
-- @column charged_s seconds charged, estimate
-- @column charged_min_s at least
-- @column charged_max_s at most
-- @column cost_microcny estimate
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_cost_microcny at list prices
SELECT columns_of_cost(usage_cost) FROM usage_cost
UNION ALL
SELECT columns_of_cost(_cost_open) FROM _cost_open
