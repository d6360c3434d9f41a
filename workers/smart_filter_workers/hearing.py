"""How a worker takes rings off the broker: for good, without telling it when they are answered.

A ring is a hint, and the sweeper rings again what nobody does. Acknowledging rings to Redis
bought nothing, and stopped workers for good: an acknowledgement that Redis does not answer in
time is logged and given up by kombu, while the ring goes on counting against what its worker
may hold. A standstill of 20 s cost a worker all of its threads that way.

So an answered ring is forgotten here, in memory, which cannot fail. What a worker holds when it
goes, or loses its connection, is not put back: that would be another word with a broker that
may not answer, and kombu writes what it cannot put back into files.
"""

from kombu.transport import redis

OPTIONS = {"ack_emulation": False}


class _Channel(redis.Channel):
    do_restore = False


class Hearing(redis.Transport):
    """kombu's transport over Redis for those who hear rings; needs `OPTIONS` as its options."""

    Channel = _Channel
