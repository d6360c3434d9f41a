"""Sources of backgrounds, one file each; stock/tenant_backgrounds.py selects them for a job."""
