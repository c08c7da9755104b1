"""Which tensor of a published WavJEPA-Nat checkpoint goes where.

Names were read in the public code of the authors and the code was run beside ours (see the explanation of the model).
"""

from __future__ import annotations

from otoscope.models.encoders.tensor_map import TensorMap

#: (our name, published name)
RULES: tuple[tuple[str, str], ...] = (
    (r"ears\.(\d+)\.convs\.(\d+)\.weight", r"extract_audio.cnns.\1.\2.0.weight"),
    (r"ears\.(\d+)\.norm\.(weight|bias)", r"extract_audio.cnns.\1.0.2.\2"),
    (r"front_norm\.(weight|bias)", r"feature_norms.\1"),
    (r"project\.(weight|bias)", r"post_extraction_mapper.\1"),
    (r"positions", r"pos_encoding_encoder"),
    (r"blocks\.(\d+)\.(.+)", r"encoder.layers.\1.\2"),
    (r"final_norm\.(weight|bias)", r"encoder.norm.\1"),
)

_TRAINING = "only training needs it"
IGNORED: tuple[tuple[str, str], ...] = (
    (r"teacher_encoder\..+", f"{_TRAINING}: the moving average that makes the targets"),
    (r"decoder\..+", f"{_TRAINING}: the predictor"),
    (r"(decoder_to_encoder|encoder_to_decoder)_mapper\..+", f"{_TRAINING}: to and from the predictor"),
    (r"pos_encoding_decoder", f"{_TRAINING}: positions of the predictor"),
    (r"mask_token", f"{_TRAINING}: stands for what the predictor must guess"),
)

#: What the hub's class, Lightning and ``torch.compile`` put before or into a name.
WRAPPERS = (r"^(?:module\.|model\.)+", r"_orig_mod\.")

WAVJEPA_NAT_MAP = TensorMap("wavjepa-nat", RULES, IGNORED, WRAPPERS, verified=True)
