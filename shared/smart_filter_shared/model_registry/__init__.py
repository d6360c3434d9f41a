"""Models that workers offer: cards, versions of weights, shadow results and promotion."""
