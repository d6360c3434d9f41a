"""Albums: the inputs of their ranking, and the ranking itself."""
