"""What is wrong with this machine or this stack, and what puts it right.

checkup    which checks there are, in order; nothing that they meet ends them
findings   what a check finds, without secrets
machine    Python, packages, disk, memory, GPU, ports
place      the data folder: whose it is, who can enter it, who holds it
programs   the servers' programs, and the weights
servers    database, broker and storage, as the environment or the stack names them
variables  whether each of our variables is one that is read
service    API, key, studio, live video, browsers: what people and programs meet
"""
