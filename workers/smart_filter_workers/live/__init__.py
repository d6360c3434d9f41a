"""Live video: frames of cameras in over a WebSocket, people before another background out.

A process of its own, with models in memory and neither database, storage nor keys.

process      the command: from settings to a server
app          the WebSocket, and what operators look at
connection   one client: its messages, its frames one after the other
house        who may be connected, and what all connections share
messages     what clients and the worker say to each other
newest       a place for one frame, the newest
film         what is made of one connection's frames
sight        the models
missing      where to look for whom the models have missed
smoothing    a matte that keeps still where the picture does
backdrop     what stands behind people
shutter      the best frame of each moment in which everybody smiles
frames       bytes to pixels, within bounds, and back
measures     what is counted
"""
