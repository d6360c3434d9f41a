"""Networks that find faces, or look at one."""
