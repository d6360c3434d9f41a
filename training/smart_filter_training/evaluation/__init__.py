"""Measure the quality and the cost of models, on photos with known answers.

base                  the interface of a task: its photos, questions, scores and figures
tasks/                one module for each task
dataset_files         reads folders of photos with known answers
metrics               computes the figures from the scores of photos
confidence_intervals  the intervals of figures
model_process         one model in a process of its own
prepare_stage         runs `prepare` on photos, for the models of later stages
measure               a task's models, one after another
timing                the cost of one model on one photo
drawing               the pictures of reports
html_report           the report as one HTML file
model_comparison      one photo, cut out by several models
contact_sheet         their cut-outs, drawn side by side
"""
