"""Expression: train the network that says how much a face smiles, and its emotion.

It learns the votes of ten raters, not the majority's.

votes     the data: crops, and the votes of raters on each
network   the networks
train     what `smart-filter train` calls
"""
