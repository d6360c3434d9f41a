"""The server's responses as frozen values.

Additional fields of a newer server are not an error; missing fields of an older one are
None or empty. A state of a newer server can be none of its type's. `document` keeps the unparsed
JSON.

jobs, batches  jobs and batches
ranking        the reasons for a photo's rank in an album
faces          what was found about the people in a photo
corrections    corrections of a job's results
events         events of a job or a batch
webhooks       webhooks and their deliveries
tenants        keys, tokens, usage, settings
pictures       your own backgrounds and logos
catalog        the models, backgrounds, filters and saved recipes of a server
live           tickets for live video connections
"""

from smart_filter_client.models.batches import (
    Album,
    Batch,
    BatchItem,
    BatchState,
    Swap,
    Take,
    batch_from,
)
from smart_filter_client.models.catalog import (
    Filter,
    Keyword,
    Model,
    Preset,
    SavedRecipe,
    model_from,
    preset_from,
)
from smart_filter_client.models.corrections import Correction, FaceChanges, FaceLabel, Stroke
from smart_filter_client.models.events import FINAL_EVENTS, Event, event_from
from smart_filter_client.models.faces import (
    AttachedThing,
    Eyes,
    Face,
    Person,
    Rating,
    Smile,
    SmileLevel,
)
from smart_filter_client.models.jobs import (
    FINAL_STATES,
    Background,
    Candidate,
    Failure,
    Filtered,
    Frame,
    Job,
    JobState,
    Output,
    Picture,
    Queue,
    Stage,
    StageState,
    job_from,
)
from smart_filter_client.models.live import LiveTicket
from smart_filter_client.models.pictures import OwnPicture
from smart_filter_client.models.ranking import RankTerms
from smart_filter_client.models.tenants import (
    AuditEvent,
    Key,
    NewKey,
    Scope,
    TenantChange,
    TenantSettings,
    Used,
    UsedDay,
)
from smart_filter_client.models.webhooks import (
    Attempt,
    Delivery,
    DeliveryState,
    End,
    Ends,
    NewSecret,
    NewWebhook,
    Webhook,
    WebhookEvent,
)
from smart_filter_client.printability import Part, Printability

__all__ = [
    "FINAL_EVENTS",
    "FINAL_STATES",
    "Album",
    "AttachedThing",
    "Attempt",
    "AuditEvent",
    "Background",
    "Batch",
    "BatchItem",
    "BatchState",
    "Candidate",
    "Correction",
    "Delivery",
    "DeliveryState",
    "End",
    "Ends",
    "Event",
    "Eyes",
    "Face",
    "FaceChanges",
    "FaceLabel",
    "Failure",
    "Filter",
    "Filtered",
    "Frame",
    "Job",
    "JobState",
    "Key",
    "Keyword",
    "LiveTicket",
    "Model",
    "NewKey",
    "NewSecret",
    "NewWebhook",
    "Output",
    "OwnPicture",
    "Part",
    "Person",
    "Picture",
    "Preset",
    "Printability",
    "Queue",
    "RankTerms",
    "Rating",
    "SavedRecipe",
    "Scope",
    "Smile",
    "SmileLevel",
    "Stage",
    "StageState",
    "Stroke",
    "Swap",
    "Take",
    "TenantChange",
    "TenantSettings",
    "Used",
    "UsedDay",
    "Webhook",
    "WebhookEvent",
    "batch_from",
    "event_from",
    "job_from",
    "model_from",
    "preset_from",
]
