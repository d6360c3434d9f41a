"""The loop from corrections to better models: collect, build data sets, register."""
