"""What browsers need: sessions by cookie, and pages of other origins."""
