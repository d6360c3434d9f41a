"""Run real PostgreSQL and Valkey servers as child processes, for a laptop, tests and demos.

with StopRequest() as stop, Stack(DataFolder(path), stop=stop) as stack:
    migrate(stack.addresses)
    stack.start(prepare)                      # one tier
    stack.start_tiers([api], [worker])        # the next two; tiers stop in reverse order
    stack.start(sender, join=True)            # later, in the tier of the worker
    stack.announce(url=url, api_key=api_key)  # from now on running_stack(path) finds it
    stack.supervise()                         # until SIGINT or SIGTERM

stack             servers and commands, supervised and stopped together
child_processes   one server or command: its log, its readiness, its restart after a pause
folder            layout of the data folder, its lock, and the announcement of a running stack
postgres, valkey  preparation and readiness probe of each server
server_user       the user that PostgreSQL runs as, when the parent is root
signals           SIGINT and SIGTERM as a flag to poll, instead of an exception at any point
addresses         the addresses of the servers, as settings for other processes
binaries, ports   the servers' programs, and free ports
"""
