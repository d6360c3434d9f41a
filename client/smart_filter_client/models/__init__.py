"""What a server answers, as frozen values.

Fields that a newer server adds are not an error; those that an older one lacks read as
None or empty. `document` keeps an answer whole, as it came.

jobs, batches  photos on their way
ranking        why they stand where they stand in an album
faces          what was found out about the people in them
corrections    what somebody says is right of that
events         what happened to a job or a batch
webhooks       who is told of it, and what came of that
tenants        keys, tokens, usage
catalogue      the models and the backgrounds that a server knows
live           the right to a connection for live video
"""

from smart_filter_client.models.batches import Album, Batch, BatchItem, batch_from
from smart_filter_client.models.catalogue import Model, Preset, model_from, preset_from
from smart_filter_client.models.corrections import Correction, FaceLabel, Stroke
from smart_filter_client.models.events import FINAL_EVENTS, Event, event_from
from smart_filter_client.models.faces import Eyes, Face, Person, Rating, Smile
from smart_filter_client.models.jobs import (
    FINAL_STATES,
    Background,
    Candidate,
    Failure,
    Filtered,
    Frame,
    Job,
    Picture,
    Queue,
    Stage,
    job_from,
)
from smart_filter_client.models.live import LiveTicket
from smart_filter_client.models.ranking import RankTerms
from smart_filter_client.models.tenants import Key, NewKey, Used, UsedDay
from smart_filter_client.models.webhooks import (
    Attempt,
    Delivery,
    NewSecret,
    NewWebhook,
    Webhook,
)
from smart_filter_client.printability import Part, Printability

__all__ = [
    "FINAL_EVENTS",
    "FINAL_STATES",
    "Album",
    "Attempt",
    "Background",
    "Batch",
    "BatchItem",
    "Candidate",
    "Correction",
    "Delivery",
    "Event",
    "Eyes",
    "Face",
    "FaceLabel",
    "Failure",
    "Filtered",
    "Frame",
    "Job",
    "Key",
    "LiveTicket",
    "Model",
    "NewKey",
    "NewSecret",
    "NewWebhook",
    "Part",
    "Person",
    "Picture",
    "Preset",
    "Printability",
    "Queue",
    "RankTerms",
    "Rating",
    "Smile",
    "Stage",
    "Stroke",
    "Used",
    "UsedDay",
    "Webhook",
    "batch_from",
    "event_from",
    "job_from",
    "model_from",
    "preset_from",
]
