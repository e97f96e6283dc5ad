"""Members: read page by page from their API, cut down by the policy, each written once; and forgotten."""
