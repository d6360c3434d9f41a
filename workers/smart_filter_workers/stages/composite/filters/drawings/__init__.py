"""Pictures of worn things, and the SVGs that `make wearables` draws them from.

The middle of a drawing is 0, 0, and its unit is the distance of the eyes. `NAME.webp` lies below
`NAME.tint.webp`, whose mid gray becomes the chosen color.

Called by stages.composite.filters.plugins.
Calls nothing.
"""
