"""User corrections, and the datasets built from those given with consent."""
