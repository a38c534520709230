"""Times the neural codecs of transformers: audio to codes, or codes to audio.

    python benches/peers/transformers_codecs.py --codec encodec|dac|mimi --work encode|decode [--seconds 10]
        [--levels 8] [--batch N] [--runs N] [--threads N] [--dtype f32|bf16] [--compile] [--device cpu|cuda] [--serve]

Each is built from its configuration with random weights: EnCodec of 24 kHz, DAC of 16 kHz, Mimi. They are other codecs
than ours, with other rates and sizes, so what they print (frames, levels, parameters) is to be read beside their times.
The audio is noise, each codec's own sample rate for so many seconds. Parameters count the codebooks.
The protocol of --serve stands in timing.py.
"""

import sys

import torch

sys.dont_write_bytecode = True
import timing  # noqa: E402
import transformers  # noqa: E402

# kilobits per second for one level of 1024 codes at 75 frames per second
ENCODEC_LEVEL = 0.75


class Encodec:
    def __init__(self):
        self.model = transformers.EncodecModel(transformers.EncodecConfig())
        self.rate, self.most = 24000, self.model.config.num_quantizers

    def encode(self, audio, levels):
        return self.model.encode(audio, bandwidth=ENCODEC_LEVEL * levels).audio_codes

    def decode(self, codes):
        return self.model.decode(codes, [None]).audio_values


class Dac:
    def __init__(self):
        # the settings of the published descript/dac_16khz; the defaults are another codec's
        config = transformers.DacConfig(downsampling_ratios=[2, 4, 5, 8], n_codebooks=12, sampling_rate=16000)
        self.model = transformers.DacModel(config)
        self.rate, self.most = config.sampling_rate, config.n_codebooks

    def encode(self, audio, levels):
        return self.model.encode(audio, n_quantizers=levels).audio_codes

    def decode(self, codes):
        return self.model.decode(audio_codes=codes).audio_values


class Mimi:
    def __init__(self):
        self.model = transformers.MimiModel(transformers.MimiConfig())
        self.rate, self.most = 24000, self.model.config.num_quantizers

    def encode(self, audio, levels):
        return self.model.encode(audio, num_quantizers=levels).audio_codes

    def decode(self, codes):
        return self.model.decode(codes).audio_values


CODECS = {"encodec": Encodec, "dac": Dac, "mimi": Mimi}


@torch.no_grad()
def fill_codebooks(model):
    """Codebooks start at zero, where every code is as near as any other. Returns how many numbers they hold."""
    numbers = 0
    for name, buffer in model.named_buffers():
        if name.endswith((".embed", ".embed_sum")):
            buffer.normal_()
            numbers += buffer.numel()
        elif name.endswith(".cluster_usage"):
            buffer.fill_(1.0)
    return numbers


def main():
    parser = timing.parser(__doc__, ("encode", "decode"))
    parser.add_argument("--codec", choices=CODECS, default="encodec")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--levels", type=int, default=8)
    arguments = parser.parse_args()

    device = timing.prepare(arguments)
    codec = CODECS[arguments.codec]()
    if arguments.levels > codec.most:
        parser.error(f"{arguments.codec} has {codec.most} levels")
    model = codec.model.eval().to(device)
    parameters = sum(parameter.numel() for parameter in model.parameters()) + fill_codebooks(model)
    audio = torch.randn(arguments.batch, 1, round(arguments.seconds * codec.rate), device=device) * 0.1
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
        "peer": f"{arguments.codec} of transformers {transformers.__version__}",
        "seconds_of_audio": arguments.seconds,
        "sample_rate": codec.rate,
        "passes": 1,
        "levels": arguments.levels,
        "frames": codes.shape[-1],
        "parameters": parameters,
    }, once)


if __name__ == "__main__":
    main()
