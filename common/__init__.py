"""Loading a function makes tens of thousands of objects, and nearly all of them stay: looking through them for garbage
again and again took a quarter of it. Requests leave little for the collector."""

import gc

gc.set_threshold(50_000)
