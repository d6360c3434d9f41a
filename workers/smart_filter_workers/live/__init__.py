"""Live video: camera frames in over a WebSocket, people in front of another background out.

A process of its own, with models in memory and without database, storage or API keys.

process            the command: from settings to a server
app                the WebSocket, health checks and metrics
connection         one client: its messages, and its frames one after another
session_registry   the connected clients, and what all connections share
messages           the protocol between clients and the worker
latest_slot        a slot for one frame, the newest
pipeline           the processing of one connection's frames
models             the models
refocus            regions to look at again for people that the models have missed
smoothing          a matte that is still where the picture is still
backdrop           the background of one connection
shutter            the best frame of each moment in which all people smile
frames             bytes to pixels, within limits, and back
metrics            counters

Called by deploy.
Calls shared, stages.composite, decoder, networks.faces, stages.face.models,
stages.segmentation.mattes, models, system.
"""
