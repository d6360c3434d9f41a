"""Live video: what the API, which lets clients in, and the live workers agree on.

tokens       what opens one connection
backgrounds  what may stand behind people in live video
"""
