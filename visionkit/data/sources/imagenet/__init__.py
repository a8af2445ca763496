"""ImageNet-1k, a folder per WordNet id."""
