"""The hands: sessions of workers, the steps that they claim, and what they report."""
