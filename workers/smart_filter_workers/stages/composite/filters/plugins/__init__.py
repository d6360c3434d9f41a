"""The filters, one file each, named as their cards."""
