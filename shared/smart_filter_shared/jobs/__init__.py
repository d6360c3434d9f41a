"""Photo jobs: what the jobs of the queue are about.

submission    a photo job about to be written, as rows of the queue
result_cache  results of earlier jobs of the same photo
queries       reads of jobs with their recipes and results
hooks         what albums and feedback do when the queue moves a job
photo_queue   the queue with these hooks: CLIENT for the API, WORKER for workers

Called by api, operations, workers.
Calls artifacts, db, feedback, model_registry, queue, recipe, stock, telemetry.
"""
