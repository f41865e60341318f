"""The gate: every action is proposed, judged, paid for, held or let go before it happens."""
