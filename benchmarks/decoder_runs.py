"""Audio language models of the published decoder widths with random weights, a few layers deep.

The audio encoder is a toy: it runs before the decoder, and no method here touches it. What it gives, and the sound, do
not matter to the cost. Vocabularies are small as well, for the sake of memory; the head is evaluated once per pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otoscope.core.sites import SiteMap
from otoscope.models.devices import torch_dtype
from otoscope.models.sites import decoder

#: Of Qwen2.5-Omni's thinkers: width, feed-forward width, layers, query heads, key heads.
SIZES = {"3b": (2048, 11008, 36, 16, 2), "7b": (3584, 18944, 28, 28, 4)}
#: Tokens of sound per second, and of text before and after it.
PER_SECOND, BEFORE, AFTER = 25, 20, 40
_AUDIO, _WORDS = 3, 1000


@dataclass(frozen=True)
class Cost:
    """Operations (a multiply-add is two) of ``layers`` layers over ``n`` tokens: what is multiplied with weights, and
    causal attention, half of the map."""

    width: int
    inner: int
    heads: int
    kv_heads: int

    def layer(self, n: int) -> float:
        d = self.width // self.heads
        weights = self.width * (2 * self.width + 2 * self.kv_heads * d + 3 * self.inner)
        return 2.0 * n * weights + 2.0 * n * n * self.width


class DecoderRun:
    """One prompt of so many ``seconds`` in a decoder of ``size`` with ``layers`` layers. Sited, with a token for sound,
    so that pruners and evictors act in it."""

    def __init__(self, size: str, layers: int, seconds: float, device: torch.device, dtype: str) -> None:
        import transformers as tr

        tr.utils.logging.set_verbosity_error()
        width, inner, self.whole, heads, kv_heads = SIZES[size]
        self.cost, self.layers, self.device = Cost(width, inner, heads, kv_heads), layers, device
        half = width // heads // 2
        rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [half // 4, half * 3 // 8, half * 3 // 8]}
        config = tr.Qwen2_5OmniThinkerConfig(
            audio_config={
                "num_mel_bins": 16,
                "d_model": 16,
                "encoder_layers": 1,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 32,
                "output_dim": width,
                "n_window": 100,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": width,
                "fullatt_block_indexes": [0],
            },
            text_config={
                "hidden_size": width,
                "intermediate_size": inner,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": kv_heads,
                "vocab_size": _WORDS,
                "max_position_embeddings": 32768,
                "rope_parameters": rope,
            },
            audio_token_index=_AUDIO,
            image_token_index=4,
            video_token_index=5,
            audio_start_token_id=6,
            audio_end_token_id=7,
            vision_start_token_id=8,
            vision_end_token_id=9,
        )
        torch.manual_seed(0)
        network = tr.Qwen2_5OmniThinkerForConditionalGeneration._from_config(
            config, attn_implementation="sdpa", dtype=torch_dtype(dtype)
        )
        self.network = network.eval().to(device)
        self.audio_token_id = _AUDIO
        self.card = type("Card", (), {"name": f"{size}, {layers} layers"})
        path = next(name for name, m in network.named_modules() if m is network.get_decoder())
        self.sites: SiteMap = decoder.site_map("qwen2_5_omni_thinker", path, layers, fused=False)
        self.audio = round(PER_SECOND * seconds)
        words = torch.randint(10, _WORDS, (1, BEFORE + AFTER))
        ids = torch.cat([words[:, :BEFORE], torch.full((1, self.audio), _AUDIO), words[:, BEFORE:]], 1)
        frames = 4 * self.audio
        mel = torch.randn(1, 16, frames, dtype=torch_dtype(dtype))
        self.prompt: dict[str, Tensor] = {
            "input_ids": ids.to(device),
            "attention_mask": torch.ones_like(ids).to(device),
            "input_features": mel.to(device),
            "feature_attention_mask": torch.ones(1, frames, dtype=torch.long, device=device),
        }

    @property
    def tokens(self) -> int:
        return self.audio + BEFORE + AFTER

    def load(self) -> None:
        return None

    def identity(self) -> dict[str, Any]:
        return {"benchmark": self.card.name}

    @torch.inference_mode()
    def prefill(self) -> Any:
        """The prompt; the cache."""
        return self.network(**self.prompt, use_cache=True, logits_to_keep=1).cache

    @torch.inference_mode()
    def decode(self, cache: Any, steps: int) -> None:
        """So many tokens more, one by one."""
        for step in range(steps):
            past = self.tokens + step
            self.network(
                input_ids=torch.full((1, 1), 11, device=self.device),
                attention_mask=torch.ones(1, past + 1, dtype=torch.long, device=self.device),
                position_ids=torch.full((3, 1, 1), past, device=self.device),
                cache=cache,
                use_cache=True,
            )

    def took(self, call: Callable[[], Any]) -> tuple[Any, float, float]:
        """What ``call`` gives, and its wall and processor seconds, when the device is idle again."""
        wall, cpu = self._now()
        found = call()
        now = self._now()
        return found, now[0] - wall, now[1] - cpu

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter(), time.process_time()
