"""The results of tools: a few facts that fit an assistant's context, and previews."""

import base64
from collections.abc import Sequence

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel, Field

from smart_filter_client import Batch, Job, JobState, Output
from smart_filter_deploy.cli.terminal.outputs import Failure
from smart_filter_wire.batches import BatchItem

# Outputs that need no link: the facts have their content, or the preview shows them.
_SHOWN = frozenset({"faces", "rating", "printability", "thumbnail"})
# Bounds the result for a crowd, and for an album of a thousand photos.
MAX_LISTED = 12


class FaceFacts(BaseModel):
    """A face; null: not known."""

    smile: str | None = Field(description="none, mild, moderate or huge")
    left_eye_open: bool | None
    right_eye_open: bool | None


class JobFacts(BaseModel):
    """The facts of a photo's job."""

    job_id: str
    state: JobState
    next_step: str | None = None
    error: str | None = None
    people: int | None = None
    rating: int | None = Field(
        default=None, description="0 to 100: smiles and open eyes; null: no face"
    )
    faces: list[FaceFacts] = Field(
        default=[], description=f"From left to right, {MAX_LISTED} at most"
    )
    background: str | None = None
    background_reason: str | None = None
    other_backgrounds: list[str] = Field(default=[], description="The next best for this photo")
    picture: str | None = Field(default=None, description="Size in pixels, and format")
    links: dict[str, str] = Field(
        default={}, description="Addresses of the files; they need no key"
    )
    links_expire_at: str | None = None


class RankedPhoto(BaseModel):
    """A photo of an album, and why it has its rank."""

    rank: int
    photo_number: int = Field(description="1 is the first of the submitted photos")
    reasons: list[str]
    job: JobFacts


class AlbumFacts(BaseModel):
    """The facts of an album."""

    album_id: str
    state: str
    total: int
    succeeded: int
    failed: int
    next_step: str | None = None
    ranking: list[RankedPhoto] = Field(
        default=[], description=f"The best first, {MAX_LISTED} at most"
    )
    failures: list[str] = []


def job_facts(job: Job) -> JobFacts:
    """Return the facts of a job."""
    facts = JobFacts(job_id=job.id, state=job.state, people=job.people)
    if not job.is_final:
        facts.next_step = "It is not finished: call wait_for_job with this job_id."
    if job.error is not None:
        facts.error = _describe(job.error)
    if job.rating is not None:
        facts.rating = job.rating.points
    for face in sorted(job.faces or (), key=lambda each: each.box)[:MAX_LISTED]:
        facts.faces.append(
            FaceFacts(
                smile=face.smile.level,
                left_eye_open=face.eyes.left_open,
                right_eye_open=face.eyes.right_open,
            )
        )
    facts.background = job.background.name or job.background.kind
    facts.background_reason = job.background.reason
    facts.other_backgrounds = [
        f"preset:{candidate.name}" for candidate in job.background.candidates[1:]
    ]
    if job.image is not None:
        facts.picture = f"{job.image.width} × {job.image.height} {job.image.format}"
    facts.links = {name: url for name, url in job.output_links.items() if name not in _SHOWN}
    if facts.links and job.output_links_expire_at is not None:
        facts.links_expire_at = job.output_links_expire_at.isoformat()
    return facts


def album_facts(batch: Batch, ranked: Sequence[tuple[BatchItem, Job]]) -> AlbumFacts:
    """Return the facts of an album; ranked: its best photos with their jobs, in order."""
    errors = [(item.index + 1, item.error) for item in batch.items if item.error is not None]
    return AlbumFacts(
        album_id=batch.id,
        state=batch.state,
        total=batch.total,
        succeeded=batch.succeeded,
        failed=batch.failed,
        next_step=None
        if batch.is_final
        else "It is not finished: call wait_for_album with this album_id.",
        ranking=[
            RankedPhoto(
                rank=item.rank or 0,
                photo_number=item.index + 1,
                reasons=list(job.rank_terms.reasons) if job.rank_terms else [],
                job=job_facts(job),
            )
            for item, job in ranked
        ],
        failures=[f"photo {number}: {_describe(error)}" for number, error in errors[:MAX_LISTED]],
    )


def to_result(facts: BaseModel, previews: Sequence[Output] = ()) -> CallToolResult:
    """Return the result of a tool: facts as JSON, for programs and as text, and pictures."""
    content: list[ContentBlock] = [TextContent(text=facts.model_dump_json(exclude_defaults=True))]
    for preview in previews:
        picture = base64.b64encode(preview.content).decode()
        content.append(ImageContent(data=picture, mime_type=preview.media_type))
    return CallToolResult(content=content, structured_content=facts.model_dump(mode="json"))


def to_error(message: str) -> CallToolResult:
    """Return the result of a tool that failed: one line."""
    return CallToolResult(content=[TextContent(text=" ".join(message.split()))], is_error=True)


def _describe(failure: Failure) -> str:
    return f"{failure.detail or failure.title} ({failure.code}) {failure.remedy}".rstrip()
