"""The registered models. Names only: what they stand for is imported when one is asked for."""

from __future__ import annotations

from otoscope.core.registry import Registry
from otoscope.models.audiolms.cards import AUDIO_LMS
from otoscope.models.encoders.hub_cards import CARDS
from otoscope.models.separators.cards import SAM_AUDIO

#: ``kind`` is ``hub`` (a published checkpoint), ``encoder`` (a class of ours), ``observer`` or ``separator``. The entry
#: point of a plug-in gives an encoder class, a ``torch.nn.Module`` class, a function that makes either, an observer
#: class or a separator class.
MODELS = Registry("model", "otoscope.models")

MODELS.add(
    "tiny-wav2vec2",
    "otoscope.models.encoders.tiny:tiny_wav2vec2",
    "wav2vec 2.0 architecture, 4 layers of 64, random weights; needs no file",
    kind="encoder",
)
MODELS.add(
    "tiny-stereo",
    "otoscope.models.encoders.tiny:tiny_stereo",
    "two-channel conv stem and transformer, random weights (ours); needs no file",
    kind="encoder",
)
for _kind, _about in (
    ("general", "trained here: two-channel log-mel, masked prediction, blind to interaural phase"),
    ("spatial", "trained here: log-mel and interaural phase, trained on direction"),
):
    MODELS.add(
        f"tiny-binaural-{_kind}",
        f"otoscope.models.bundled.tiny_binaural:tiny_binaural_{_kind}",
        f"{_about}; comes with the package (weights CC BY-SA 4.0)",
        kind="encoder",
    )

for _name, _about in (
    ("tiny-whisper-base", "trained here: a small Whisper encoder that knows spoken digits alone"),
    ("tiny-uniwhisper", "trained here: tiny-whisper-base continued on speech, sounds and music (UniWhisper's recipe)"),
):
    MODELS.add(
        _name,
        f"otoscope.models.bundled.tiny_whisper:{_name.replace('-', '_')}",
        f"{_about}; comes with the package (CC BY-SA 4.0)",
        kind="encoder",
    )

MODELS.add(
    "wavjepa-nat",
    "otoscope.models.encoders.wavjepa.adapter:wavjepa_nat",
    "WavJEPA-Nat: convolutions per ear, joint transformer; tokens per ear",
    kind="encoder",
)
MODELS.add(
    "spatial-ast",
    "otoscope.models.encoders.spatial_ast.adapter:spatial_ast",
    "Spatial-AST: log-mel and interaural phase, ViT-B; 10 s at 32 kHz (weights CC BY-NC 4.0)",
    kind="encoder",
)
MODELS.add(
    "dspast",
    "otoscope.models.encoders.spatial_ast.adapter:dspast",
    "DSpAST: adds cross-correlation and level difference, three branches; stage=1, 2, 3 (weights CC BY-NC 4.0)",
    kind="encoder",
)

_REFERENCES = {
    "left-only": ("left_only:LeftOnly", "log-mel of the left ear: 0 dB by construction"),
    "mono-sum": ("mono_sum:MonoSum", "log-mel of (L + R) / 2: undefined by construction"),
    "logmel": ("logmel:LogMel", "log-mel of each ear, phase-blind"),
    "logmel-ild": ("logmel_ild:LogMelIld", "log-mel and |level difference|: the phase-blind envelope"),
    "logmel-ipd": ("logmel_ipd:LogMelIpd", "log-mel and interaural phase: genuine phase use"),
    "ipd": ("ipd:Ipd", "interaural phase alone: degenerate for diotic sounds"),
    "random-conv": ("random_conv:RandomConv", "one untrained convolution on both ears"),
    "gcc-phat-vector": ("gcc_phat_vector:GccPhatVector", "frame-wise GCC-PHAT within 1 ms"),
}
for _name, (_target, _summary) in _REFERENCES.items():
    MODELS.add(_name, f"otoscope.models.encoders.reference.{_target}", _summary, kind="encoder")

_OBSERVERS = {
    "ec-durlach": ("EcDurlachObserver", "equalisation-cancellation in closed form (Durlach)"),
    "ec-chen2026": ("EcChen2026Observer", "the curve plotted in arXiv 2606.14820, closed form"),
    "ec-signal": ("EcSignalObserver", "equalisation-cancellation on waveforms, BMLD of a triplet"),
    "ec-listener": ("EcListenerObserver", "equalisation-cancellation as a listener in a forced choice"),
    "gcc-phat": ("GccPhatObserver", "GCC-PHAT as a listener: one statistic per interval"),
    "coherence": ("CoherenceModel", "complex interaural coherence in the target's band"),
}
for _name, (_target, _summary) in _OBSERVERS.items():
    MODELS.add(_name, f"otoscope.models.observers.adapter:{_target}", _summary, kind="observer")

MODELS.add(
    "gram-t",
    "otoscope.models.encoders.gramt.encoder:gram_t",
    "GRAM-T binaural: log-mel of both ears, vision transformer over windows of 2 s",
    kind="encoder",
)

MODELS.add(
    "endpoint",
    "otoscope.models.audiolms.endpoint:Endpoint",
    "an OpenAI-compatible server with audio input: url=http://HOST/v1,model=NAME; the key from $OPENAI_API_KEY",
    kind="audiolm",
)
MODELS.add(
    "embeddings",
    "otoscope.models.encoders.imported:ImportedEmbeddings",
    "embeddings computed elsewhere: path=E.npy,manifest=manifest.jsonl",
    kind="encoder",
)

for _card in (*CARDS, *AUDIO_LMS):
    MODELS.add(_card.name, _card, _card.summary, kind="hub")

MODELS.add(
    "tiny-separator",
    "otoscope.models.bundled.tiny_separator:tiny_separator",
    "trained here: SAM Audio's kind of separator, 8 kHz, by text and spans; comes with the package (CC BY-SA 4.0)",
    kind="separator",
)
MODELS.add(
    "tiny-audiolm",
    "otoscope.models.bundled.tiny_audiolm:tiny_audiolm",
    "trained here: Audio Flamingo 3's kind of audio language model, tiny; comes with the package (CC BY-SA 4.0)",
    kind="audiolm",
)
for _name, _card in SAM_AUDIO.items():
    _target = f"otoscope.models.separators.sam_audio:{_name.replace('-', '_')}"
    MODELS.add(_name, _target, _card.summary, kind="separator")
