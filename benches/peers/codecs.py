"""Times neural codecs as their packages have them: audio to codes, or codes to audio.

    python benches/peers/codecs.py --codec speechtokenizer|encodec-24khz|encodec-48khz|dac-16khz|dac-24khz|dac-44khz|mimi
        --work encode|decode [--seconds 10] [--levels 8] [--batch N] [--runs N] [--threads N] [--dtype f32|bf16]
        [--compile] [--device cpu|cuda] [--serve]

SpeechTokenizer is that of its own package, the others those of transformers; all are built from the configuration of
the published weights, with random weights. The audio is noise. Parameters count the codebooks.
The protocol of --serve stands in timing.py.
"""

import sys
import types

import torch

sys.dont_write_bytecode = True
import timing  # noqa: E402


class SpeechTokenizer:
    def __init__(self):
        # The package imports its trainer, which nothing here needs.
        trainer = types.ModuleType("speechtokenizer.trainer")
        trainer.SpeechTokenizerTrainer = None
        sys.modules["speechtokenizer.trainer"] = trainer
        import speechtokenizer

        self.model = speechtokenizer.SpeechTokenizer(dict(
            n_filters=64, strides=[8, 5, 4, 2], dimension=1024, semantic_dimension=768, bidirectional=True,
            dilation_base=2, residual_kernel_size=3, n_residual_layers=1, lstm_layers=2, activation="ELU",
            sample_rate=16000, codebook_size=1024, n_q=8,
        ))
        self.package, self.rate, self.channels, self.most = "speechtokenizer", 16000, 1, 8

    def encode(self, audio, levels):
        return self.model.encode(audio, n_q=levels)

    def decode(self, codes):
        return self.model.decode(codes)

    def frames(self, codes):
        return codes.shape[-1]


class Transformers:
    """What the codecs of transformers share."""

    def __init__(self, model, levels):
        import transformers

        self.package = f"transformers {transformers.__version__}"
        self.model, self.rate, self.channels, self.most = model, model.config.sampling_rate, 1, levels

    def frames(self, codes):
        return codes.audio_codes.shape[-1]


class Encodec(Transformers):
    # kilobits per second for one level of 1024 codes
    LEVEL = {24000: 0.75, 48000: 1.5}

    def __init__(self, **config):
        import transformers

        model = transformers.EncodecModel(transformers.EncodecConfig(**config))
        super().__init__(model, model.config.num_quantizers)
        self.channels = model.config.audio_channels

    def encode(self, audio, levels):
        return self.model.encode(audio, bandwidth=self.LEVEL[self.rate] * levels)

    def decode(self, codes):
        more = {} if codes.last_frame_pad_length is None else {"last_frame_pad_length": codes.last_frame_pad_length}
        return self.model.decode(codes.audio_codes, codes.audio_scales, **more).audio_values

    def frames(self, codes):
        """The chunks' frames, one after another; the last chunk's may be padding from some on."""
        chunks = codes.audio_codes
        pad = codes.last_frame_pad_length or 0
        return chunks.shape[0] * chunks.shape[-1] - pad if chunks.dim() == 4 else chunks.shape[-1]


class Dac(Transformers):
    def __init__(self, **config):
        import transformers

        super().__init__(transformers.DacModel(transformers.DacConfig(**config)), config["n_codebooks"])

    def encode(self, audio, levels):
        # To whole frames, as the model's feature extractor does before it.
        audio = torch.nn.functional.pad(audio, (0, -audio.shape[-1] % self.model.config.hop_length))
        return self.model.encode(audio, n_quantizers=levels)

    def decode(self, codes):
        return self.model.decode(audio_codes=codes.audio_codes).audio_values


class Mimi(Transformers):
    def __init__(self):
        import transformers

        model = transformers.MimiModel(transformers.MimiConfig())
        super().__init__(model, model.config.num_quantizers)

    def encode(self, audio, levels):
        return self.model.encode(audio, num_quantizers=levels)

    def decode(self, codes):
        return self.model.decode(codes.audio_codes).audio_values


# The settings of the published weights, where they are not the defaults.
CODECS = {
    "speechtokenizer": SpeechTokenizer,
    "encodec-24khz": Encodec,
    "encodec-48khz": lambda: Encodec(
        target_bandwidths=[3.0, 6.0, 12.0, 24.0], sampling_rate=48000, audio_channels=2, normalize=True,
        chunk_length_s=1.0, overlap=0.01, use_causal_conv=False, norm_type="time_group_norm",
    ),
    "dac-16khz": lambda: Dac(downsampling_ratios=[2, 4, 5, 8], n_codebooks=12, sampling_rate=16000),
    "dac-24khz": lambda: Dac(downsampling_ratios=[2, 4, 5, 8], n_codebooks=32, sampling_rate=24000),
    "dac-44khz": lambda: Dac(downsampling_ratios=[2, 4, 8, 8], n_codebooks=9, sampling_rate=44100),
    "mimi": Mimi,
}


@torch.no_grad()
def fill_codebooks(model):
    """Codebooks start at zero, where every code is as near as any other. Returns how many numbers they hold."""
    numbers = 0
    for name, buffer in model.named_buffers():
        if name.endswith((".embed", ".embed_sum")):
            buffer.normal_()
            numbers += buffer.numel()
        elif name.endswith((".cluster_usage", ".inited")):
            buffer.fill_(1.0)
    return numbers


def parameters(model):
    """What a codec needs and no more: not the magnitudes of weight norm, which are part of their weights, not the
    second of an LSTM's biases, which are added up, and not SpeechTokenizer's projection onto its teacher."""
    apart = lambda name: name.endswith((".weight_g", ".parametrizations.weight.original0")) or ".bias_hh" in name or \
        name.startswith("transform.")
    return sum(p.numel() for name, p in model.named_parameters() if not apart(name))


def main():
    parser = timing.parser(__doc__, ("encode", "decode"))
    parser.add_argument("--codec", choices=CODECS, default="encodec-24khz")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--levels", type=int, default=8)
    arguments = parser.parse_args()

    device = timing.prepare(arguments)
    codec = CODECS[arguments.codec]()
    if arguments.levels > codec.most:
        parser.error(f"{arguments.codec} has {codec.most} levels")
    model = codec.model.eval().to(device)
    count = parameters(model) + fill_codebooks(model)
    samples = round(arguments.seconds * codec.rate)
    audio = torch.randn(arguments.batch, codec.channels, samples, device=device) * 0.1
    if arguments.dtype == "bf16":
        model.bfloat16()
        audio = audio.bfloat16()
    with torch.inference_mode():
        codes = codec.encode(audio, arguments.levels)
    encode, decode = codec.encode, codec.decode
    if arguments.compile:
        encode, decode = torch.compile(encode), torch.compile(decode)

    @torch.inference_mode()
    def once():
        if arguments.work == "encode":
            encode(audio, arguments.levels)
        else:
            decode(codes)

    timing.measure(arguments, device, {
        "peer": f"{arguments.codec} of {codec.package}",
        "seconds_of_audio": arguments.seconds,
        "sample_rate": codec.rate,
        "passes": 1,
        "levels": arguments.levels,
        "frames": codec.frames(codes),
        "parameters": count,
    }, once)


if __name__ == "__main__":
    main()
