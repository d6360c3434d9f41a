"""Networks shared by several stages; this package does not depend on the stages."""
