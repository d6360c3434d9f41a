"""Choose the background that suits the people in a photo."""
