//! `soundstorm plot`: a picture of a recording, or of a training's log.

use anyhow::Result;
use soundstorm_audio::picture::{Picture, PictureFormat, PictureSize, write_picture};

use crate::{
    args::{Common, Plot},
    audio_io, output,
    usage::usage,
};

pub(crate) fn run(args: &Plot, common: &Common) -> Result<()> {
    PictureFormat::of_path(&args.output).map_err(|error| usage(error.to_string()))?;
    if args
        .input
        .extension()
        .is_some_and(|ending| ending == "jsonl")
    {
        return super::plot_log::run(args, common);
    }
    let audio = audio_io::read(&args.input)?;
    let picture = match args.spectrogram {
        true => Picture::Spectrogram,
        false => Picture::Waveform,
    };
    let size = PictureSize {
        width: args.width,
        height: args.height,
    };
    write_picture(&args.output, &audio, picture, size)?;
    if common.json {
        return output::json(&serde_json::json!({
            "output": args.output,
            "width": size.width,
            "height": u64::from(size.height) * audio.channels.len() as u64,
            "channels": audio.channels.len(),
            "seconds": audio.seconds(),
        }));
    }
    tracing::info!("{:.2} s in {}", audio.seconds(), args.output.display());
    Ok(())
}
