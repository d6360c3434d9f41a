"""Real PostgreSQL, Valkey and S3 servers as child processes, for a laptop, tests and demos.

with StopRequest() as stop, Stack(DataFolder(path), stop=stop) as stack:
    migrate(stack.addresses)
    stack.start(api)                          # one tier
    stack.start(worker_1, worker_2)           # the next; tiers stop in reverse order
    stack.announce(url=url, api_key=api_key)  # from now on running_stack(path) finds it
    stack.supervise()                         # until SIGINT or SIGTERM

stack       the composition: servers, then commands, watched and stopped together
children    one process: tied to us by `leash`, started again with `backoff`
folder      what lies where, who may run there, how others find a running stack
postgres, valkey, s3      how each server is prepared and asked whether it is ready
signals     SIGINT and SIGTERM as a value to look at instead of an exception anywhere
"""
