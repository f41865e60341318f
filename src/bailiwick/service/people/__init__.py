"""What people ask for: runs, decisions, budgets, identities, tenants, policies."""
