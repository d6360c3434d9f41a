"""The sender: tells webhooks of jobs' ends; a process of its own, asynchronous.

schedule   what becomes of a delivery, by what came of sending it
outbound   how a receiver is reached: what is asked of whoever does it
posting    who does it: through the guard of the fetcher
lanes      which receivers are slow or failing, and how little of those is sent at once
letters    what is to be sent now, taken from the database
sending    the loop
"""
