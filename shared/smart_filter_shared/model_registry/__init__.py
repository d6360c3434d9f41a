"""Models that workers offer: cards, versions of weights, and the gate of promotion."""
