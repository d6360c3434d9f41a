"""Conversion of networks in other formats to the formats that workers run."""
