"""Matte refiner: train the network that corrects the mattes of `people`, from photos with masks.

faults      the faults of mattes that it learns to correct
composites  people in front of other backgrounds
batches     photos with the mattes of `people`, and batches of faulty crops
network     MODNet with the matte as a second input, in torch and in ONNX
train       what `smart-filter train` calls
"""
