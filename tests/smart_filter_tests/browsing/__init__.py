"""Parts of studio journeys: a browser, visitors, photos, a camera, network faults."""
