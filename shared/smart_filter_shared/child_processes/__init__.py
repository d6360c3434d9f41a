"""Child processes: started, limited, asked and ended in one way; none outlives this process.

parent_death   ties a child to its parent; also the launcher of foreign programs
programs       starts a process in a group of its own, and ends it with the group
python_child   a child that runs a function of ours and answers over a socket
serving        the start of that child, and its side of the socket

Called by deploy, training, workers.
Calls security.
"""
