"""Live video: camera frames in over a WebSocket, people in front of another background out.

A process of its own, with models in memory and without database, storage or API keys.

app                the WebSocket, health checks and metrics
connection         one client: its messages, and its frames one after another
session_registry   the connected clients, and what all connections share
messages           the protocol between clients and the worker
pipeline           the processing of one connection's frames
models             finds people and faces, and looks again at missed ones
smoothing          a matte that is still where the picture is still
backdrop           the background of one connection
shutter            the best frame of each moment in which all people smile
frames             bytes to pixels, within limits, and back

Called by deploy.
Calls backgrounds, decoder, images, models, networks, shared, stages, system, weights, wire.
"""
