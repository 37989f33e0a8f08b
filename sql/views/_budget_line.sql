-- Budgets as they were set: the most that a project or an account may cost in a month. `month` is '' if
-- the budget is for every month without one of its own.
-- @column scope project or account
-- @column name of the project or account
-- @column month 2026-11; '' for every month without its own
-- @column budget_microcny millionths of a yuan
SELECT scope, name, month, amount_microcny AS budget_microcny
FROM budget
