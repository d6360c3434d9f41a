"""Diagnose this machine and this stack, and report remedies.

checkup       the list of checks, in order; an error in one does not stop the others
findings      the findings of checks, without secrets
machine       Python, packages, disk, memory, GPU, ports
stack_folder  the data folder: owner, access, lock
programs      the servers' programs, and the weights
servers       database, broker and object store, from the environment or the stack
configuration variables SMART_FILTER_… that no program reads, certificates that expire
service       API, key, studio, live video, browsers, outbound access
"""
