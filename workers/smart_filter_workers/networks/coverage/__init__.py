"""Networks that give the coverage of people, or of things that stand out."""
