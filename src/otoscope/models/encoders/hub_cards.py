"""Cards of published checkpoints with a short name. Data only: nothing here loads or imports a network.

Layer numbers are those of ``transformers``: 0 is what enters the first transformer block, ``last`` is the output of the
model (after its final norm). Codecs have one layer, the encoder's output before quantisation. A licence is what the
model's page says; where the page says nothing, so does the card.
"""

from __future__ import annotations

from typing import Any

from otoscope.core.nouns import Card

_WAVE = frozenset({"waveform"})
_MAGNITUDE = frozenset({"magnitude"})
_UNSTATED = "not stated here: read the model's page before use"
_MONO = "takes one channel: with channels=left everything interaural is zero by construction"


def _card(
    name: str, hub_id: str, model_type: str, summary: str, n_layers: int, rate: int = 16_000, **more: Any
) -> Card:
    layers = (*range(n_layers + 1), "last")
    defaults: dict[str, Any] = {"channels": 1, "cues": _WAVE, "notes": (_MONO,)}
    return Card(
        name=name,
        capability="encoder",
        summary=summary,
        rate=rate,
        hub_id=hub_id,
        layers=layers,
        extra={"model_type": model_type},
        **{**defaults, **more},
    )


def _whisper(size: str, n_layers: int) -> Card:
    return _card(
        f"whisper-{size}",
        f"openai/whisper-{size}",
        "whisper",
        f"Whisper {size}: encoder of a speech recogniser",
        n_layers,
        cues=_MAGNITUDE,
        licence="Apache-2.0",
        source="Radford et al. 2022, arXiv 2212.04356",
        notes=(
            _MONO,
            "always hears 30 s: silence follows shorter sounds inside the network; its frames are cut",
            "longer sounds are refused: split them",
        ),
    )


_SPEECH_SSL = [
    ("hubert-large", "facebook/hubert-large-ll60k", "HuBERT large, Libri-Light", "Apache-2.0", "arXiv 2106.07447"),
    (
        "wavlm-large",
        "microsoft/wavlm-large",
        "WavLM large, 94k h of speech",
        "CC BY-SA 3.0 (the LICENSE of microsoft/UniSpeech, to which its page points)",
        "arXiv 2110.13900",
    ),
    ("wav2vec2-large", "facebook/wav2vec2-large", "wav2vec 2.0 large, LibriSpeech", "Apache-2.0", "arXiv 2006.11477"),
    (
        "wav2vec2-large-lv60",
        "facebook/wav2vec2-large-lv60",
        "wav2vec 2.0 large, Libri-Light",
        "Apache-2.0",
        "arXiv 2006.11477",
    ),
]

CARDS: tuple[Card, ...] = (
    *(
        _card(name, hub, name.split("-")[0], summary, 24, licence=licence, source=source)
        for name, hub, summary, licence, source in _SPEECH_SSL
    ),
    _whisper("tiny", 4),
    _whisper("base", 6),
    _whisper("small", 12),
    _whisper("medium", 24),
    _whisper("large-v3", 32),
    _card(
        "ast",
        "MIT/ast-finetuned-audioset-10-10-0.4593",
        "audio-spectrogram-transformer",
        "Audio Spectrogram Transformer, AudioSet",
        12,
        cues=_MAGNITUDE,
        licence="BSD-3-Clause",
        source="Gong et al. 2021, arXiv 2104.01778",
        notes=(
            _MONO,
            "always hears 10.24 s (1024 spectrogram frames): shorter sounds are zero-padded by its feature extractor",
            "frames are the patches that lie in the real length, averaged over frequency; tokens=cls gives its summary",
        ),
        breaks=("padding invariance: the padding is inside the network's attention",),
    ),
    _card(
        "encodec-48khz",
        "facebook/encodec_48khz",
        "encodec",
        "EnCodec 48 kHz stereo: encoder before quantisation",
        0,
        rate=48_000,
        channels=2,
        licence="MIT",
        source="Défossez et al. 2022, arXiv 2210.13438",
        notes=(
            "divides every 1 s chunk by the RMS of the mono sum, where a tone in antiphase cancels: level leaks into "
            "the comparison, so run it with normalize=true and with normalize=false",
            "chunks overlap by 1 %; frames heard twice are kept once",
        ),
        breaks=(
            "padding invariance: appended zeros change the RMS that a chunk is divided by",
            "stride: half a frame is lost at every chunk border",
        ),
    ),
    _card(
        "encodec-24khz",
        "facebook/encodec_24khz",
        "encodec",
        "EnCodec 24 kHz mono: encoder before quantisation",
        0,
        rate=24_000,
        licence=_UNSTATED,
        source="Défossez et al. 2022, arXiv 2210.13438",
    ),
    *(
        _card(
            "dac" if khz == 16 else f"dac-{khz}khz",
            f"descript/dac_{khz}khz",
            "dac",
            f"DAC {khz} kHz: encoder before quantisation",
            0,
            rate=rate,
            licence="MIT",
            source="Kumar et al. 2023, arXiv 2306.06546",
        )
        for khz, rate in ((16, 16_000), (24, 24_000), (44, 44_100))
    ),
    _card(
        "mimi",
        "kyutai/mimi",
        "mimi",
        "Mimi: layers of its encoder; last is the quantiser's input (12.5 Hz)",
        9,
        rate=24_000,
        licence="CC-BY-4.0",
        source="Défossez et al. 2024, arXiv 2410.00037",
        notes=(_MONO, "layer 0 is the convolutional encoder, 1-8 its transformer (25 Hz), 9 the downsampled output"),
    ),
    _card(
        "xcodec",
        "hf-audio/xcodec-hubert-librispeech",
        "xcodec",
        "X-Codec: acoustic and semantic encoder, joined, before quantisation",
        0,
        licence=_UNSTATED,
        source="Ye et al. 2024, arXiv 2408.17175",
    ),
)

_NAT_LICENCE = "code BSD-3-Clause; weights: " + _UNSTATED
_NAT_SOURCE = "Yuksel et al. 2025, arXiv 2509.23238"

#: Read by an implementation of ours (see the package ``wavjepa``). The revision is the one that public projects name.
WAVJEPA_NAT = _card(
    "wavjepa-nat",
    "labhamlet/wavjepa-nat-base",
    "wavjepa-nat",
    "WavJEPA-Nat: convolutions per ear, joint transformer (our implementation)",
    12,
    channels=2,
    licence=_NAT_LICENCE,
    source=_NAT_SOURCE,
    revision="15d95ff67fa98117b17e83a1653bbca97877ff6f",
    notes=(
        "the public runtime averages tokens over the ears before time, where antisymmetric responses cancel: compare "
        "merge=mean, concat and difference",
        "each ear has convolutions of its own, so swapping the ears is no invariance",
        "hears windows of 2.01 s, each brought to mean 0 and deviation 1 over both ears and its zero filling together",
        "the public runtime appends a whole window of zeros to multiples of 2.01 s; its tokens are dropped",
    ),
    breaks=("padding invariance: appended zeros are heard as silence, in the front end's norm and in the attention",),
)
#: The same checkpoint through its own code: --trust-remote-code and a pinned revision.
WAVJEPA_NAT_REMOTE = Card(
    name="labhamlet/wavjepa-nat-base",
    capability="encoder",
    summary="WavJEPA-Nat through the code of its checkpoint",
    rate=16_000,
    channels=2,
    cues=_WAVE,
    licence=_NAT_LICENCE,
    hub_id="labhamlet/wavjepa-nat-base",
    source=_NAT_SOURCE,
    notes=(
        "runs Python code of the checkpoint: --trust-remote-code and revision=COMMIT; wavjepa-nat runs none",
        "frames are one per ear where that code keeps the ears apart, else the average over them",
    ),
    breaks=WAVJEPA_NAT.breaks,
    extra={"model_type": "wavjepa-nat"},
)

BY_NAME: dict[str, Card] = {card.name: card for card in CARDS}
BY_HUB_ID: dict[str, Card] = {card.hub_id: card for card in (*CARDS, WAVJEPA_NAT_REMOTE) if card.hub_id}
