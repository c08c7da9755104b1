"""No test finds embeddings that another one, or the machine's user, has kept; those about the store name a folder."""

import os

os.environ["OTOSCOPE_EMBEDDINGS"] = "off"
