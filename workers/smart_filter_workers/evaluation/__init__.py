"""How good and how dear the models are, measured on photos whose answers are known.

base        what a task says of itself: its photos, questions, scores and figures
tasks/      one module for each task
folders     reads folders of photos with known answers
metrics     the figures, from what the photos gave
intervals   how sure the figures are
subject     one model in a process of its own
preparing   what `prepare` makes of photos, for the models that come after it
measure     a task's models, one after the other
drawing     what the reports show of a photo
page        the report as one file of HTML
contact     one photo, cut out by several models
sheet       their cut-outs, drawn side by side
"""
