"""The server's responses as frozen values.

Additional fields of a newer server are not an error; missing fields of an older one are
None or empty. `document` keeps the unparsed JSON.

jobs, batches  jobs and batches
ranking        the reasons for a photo's rank in an album
faces          what was found about the people in a photo
corrections    corrections of a job's results
events         events of a job or a batch
webhooks       webhooks and their deliveries
tenants        keys, tokens, usage
catalog        the models and the backgrounds of a server
live           tickets for live video connections
"""

from smart_filter_client.models.batches import Album, Batch, BatchItem, batch_from
from smart_filter_client.models.catalog import Model, Preset, model_from, preset_from
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
