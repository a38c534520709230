//! A picture as SVG: plotters' lines and text, and heat as an image in PNG among them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters::prelude::{IntoDrawingArea, SVGBackend};

use super::panel::{Content, Drawn, Panel};
use super::{PictureSize, axes, png};

/// The file's text.
pub(super) fn draw(panels: &[Panel], size: PictureSize) -> Drawn<Vec<u8>> {
    let size = (size.width, size.height * panels.len() as u32);
    let mut text = String::new();
    let insides = {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        axes::draw(&root, panels)?
    };
    // Below the axes: at once behind the opening tag.
    let mut below = "<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n".to_owned();
    for (panel, inside) in panels.iter().zip(insides) {
        if let Content::Heat(heat) = &panel.content {
            let (width, height) = (inside.width, inside.height);
            let image = png::encode(&heat.pixels(width, height), width, height)?;
            below += &format!(
                "<image x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                 href=\"data:image/png;base64,{}\"/>\n",
                inside.left,
                inside.top,
                STANDARD.encode(image)
            );
        }
    }
    let opening = text.find('>').ok_or("plotters opened no tag")? + 1;
    text.insert_str(opening, &format!("\n{}", below.trim_end()));
    Ok(text.into_bytes())
}
