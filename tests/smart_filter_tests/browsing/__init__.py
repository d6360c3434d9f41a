"""What journeys through the studio are made of: a browser, visitors, photos, a camera, weather."""
