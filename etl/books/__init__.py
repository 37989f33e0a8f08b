"""Read and write what people say about money: prices, rules, closed months, charging models."""
