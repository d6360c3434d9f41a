"""Smart Filter in a program, without servers: the same stages, in this process.

    from smart_filter import compose, cut_out

    cut_out("me.jpg").image.save("me.png")
    made = compose("me.jpg", background="preset:studio", size="1080x1350")
    print(made.people, made.rating, made.background)

Weights are downloaded at the first use, or by `warm_up`, into the folder that
`smart-filter` uses. Every function may be called from several threads.
"""

from smart_filter.pictures import Made, PhotoSource, check_fields, compose, cut_out, warm_up
from smart_filter_shared.errors import Error

__all__ = ["Error", "Made", "PhotoSource", "check_fields", "compose", "cut_out", "warm_up"]
