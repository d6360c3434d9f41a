"""A Docker engine, and the images and services of docker-compose.yml on it."""
