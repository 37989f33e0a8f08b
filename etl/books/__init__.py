"""Read and write people's records about money: prices, rules, closed months, charging models."""
