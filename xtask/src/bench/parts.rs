//! The comparisons of a report: of works beside peers, and of codecs beside other codecs.

use super::args::Work;
use super::measure::Measured;
use super::plan::Case;
use super::plot::Panel;
use super::report::Part;
use super::rows::{Group, RATIO, RATIO_NOTE};
use super::stats::{median, table};

const HEAD: [&str; 6] = ["work", "side", "median s", "min s", "max s", RATIO];
const DONE: [&str; 6] = [
    "peak MiB",
    "passes",
    "levels",
    "frames",
    "batch",
    "parameters",
];

/// Works, each beside its peers.
pub(super) fn works(groups: &[Group]) -> Part {
    let mut rows = Vec::new();
    for group in groups {
        for side in &group.sides {
            rows.push(row(group, side));
        }
    }
    let sizes: Vec<String> = groups.iter().map(size).collect();
    Part {
        key: "works",
        title: "Works".to_owned(),
        text: format!(
            "{RATIO_NOTE} What each side says that it did (passes, levels, frames, parameters) is compared: a side \
             that did other work counts as failed. {}.{}\n\n{}",
            sizes.join("; "),
            remarks(groups),
            table(&[HEAD.as_slice(), &DONE].concat(), &rows)
        ),
        ..part(groups)
    }
}

/// Codecs, each on as many seconds of audio, beside its peer.
pub(super) fn codecs(groups: &[Group]) -> Part {
    let mut rows = Vec::new();
    for group in groups {
        for side in &group.sides {
            let mut cells = row(group, side);
            let audio = group.case.seconds() * group.case.batch as f64;
            let speed = side
                .result
                .as_ref()
                .map(|timed| audio / median(&timed.seconds));
            let speed = speed.map_or_else(|_| String::new(), |speed| format!("{speed:.1}"));
            cells.insert(6, speed);
            cells.insert(1, group.case.preset.clone());
            rows.push(cells);
        }
    }
    let mut head = [HEAD.as_slice(), &["audio s / s"], &DONE].concat();
    head.insert(1, "codec");
    let seconds = groups.first().map_or(0.0, |group| group.case.seconds());
    Part {
        key: "codecs",
        title: "Codecs".to_owned(),
        text: format!(
            "{RATIO_NOTE} Each codec has the sizes of its published weights, random ones, and 8 levels; its peer is \
             the package speechtokenizer for SpeechTokenizer, and transformers for the others. Each gets {seconds} s \
             of audio; the column `audio s / s` is how much faster than it plays it goes. `stream` encodes and decodes \
             frame by frame from the beginning on, and no frame waits for the next: of the first frame alone, and of \
             {seconds} s. No peer does that.\n\n{}",
            table(&head, &rows)
        ),
        ..part(groups)
    }
}

/// What both have from their groups.
fn part(groups: &[Group]) -> Part {
    let panel = |group: &Group| Panel::Bars {
        title: format!("{}, seconds", size(group)),
        unit: "s",
        bars: group.bars(),
    };
    Part {
        rows: groups.iter().flat_map(Group::json).collect(),
        panels: groups.iter().map(panel).collect(),
        failures: groups.iter().flat_map(Group::failures).collect(),
        unsteady: groups.iter().flat_map(Group::unsteady).collect(),
        versions: groups.iter().flat_map(Group::versions).collect(),
        ..Part::default()
    }
}

fn row(group: &Group, side: &Measured) -> Vec<String> {
    let mut cells = vec![group.case.work.name().to_owned(), side.side.clone()];
    cells.extend(group.times(side));
    cells.extend(group.shape(side));
    let parameters = cells.len() - 1;
    cells.insert(parameters, group.case.batch.to_string());
    cells
}

/// Where two sides reach the same end by other means.
fn remarks(groups: &[Group]) -> String {
    let remark = |work, text: &str| match groups.iter().any(|group| group.case.work == work) {
        true => format!(" {text}"),
        false => String::new(),
    };
    let generate = "In a generation ours works out the logits of the level at hand alone, soundstorm-pytorch's \
                    network those of all levels.";
    let train = "A training step is each side's own loss on random codes, its gradients, and one step of its \
                 optimiser: ours draws a level for each row and works out its logits alone, soundstorm-pytorch draws \
                 one for the batch and works out those of all levels.";
    remark(Work::Generate, generate) + &remark(Work::Train, train)
}

/// `train: small, 8 x 250 frames`, as the title of a picture and in the text.
fn size(group: &Group) -> String {
    let Case {
        work,
        preset,
        frames,
        batch,
        steps,
    } = &group.case;
    let name = work.name();
    match work {
        Work::Encode | Work::Decode | Work::Stream => {
            format!(
                "{name}: {preset}, {batch} x {} s of audio",
                group.case.seconds()
            )
        }
        Work::Generate => format!("{name}: {preset}, steps {steps}, {batch} x {frames} frames"),
        Work::Forward | Work::Train => format!("{name}: {preset}, {batch} x {frames} frames"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sides::Role;
    use super::super::testing::{group, side};
    use super::*;

    fn cells(part: &Part, name: &str) -> Vec<String> {
        let line = part.text.lines().find(|line| line.contains(name));
        let cells = line.map(|line| line.trim_matches('|').split('|').map(str::trim));
        let cell = |cell: &str| if cell.is_empty() { "-" } else { cell }.to_owned();
        cells.into_iter().flatten().map(cell).collect()
    }

    fn expect(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_row_tells_time_and_work() {
        let part = works(&[group(vec![
            side("ours", Role::Ours, &[3.0, 2.0, 2.5]),
            side("theirs", Role::Peer, &[5.0, 4.0, 6.0]),
        ])]);
        assert_eq!(
            cells(&part, " ours |"),
            expect("generate ours 2.500 2.000 3.000 2.00 100 27 12 500 2 7")
        );
        assert_eq!(
            cells(&part, " theirs |"),
            expect("generate theirs 5.000 4.000 6.000 1.00 100 27 12 500 2 7")
        );
        assert!(
            part.text
                .contains("generate: reference, steps 16,1, 2 x 500 frames")
        );
        assert!(part.text.contains("In a generation") && !part.text.contains("A training step"));
        assert_eq!(part.rows.len(), 2);
        assert_eq!((part.panels.len(), part.versions.len()), (1, 2));
    }

    #[test]
    fn codecs_are_told_by_their_speed() {
        let part = codecs(&[group(vec![
            side("ours", Role::Ours, &[2.5]),
            side("theirs", Role::Peer, &[5.0]),
            side("gone", Role::Peer, &[]),
        ])]);
        // Codec, side, ratio, speed on 2 rows of 10 s.
        let told = |name: &str| {
            let cells = cells(&part, name);
            [1, 2, 6, 7].map(|column| cells[column].clone())
        };
        assert_eq!(told(" ours |"), ["reference", "ours", "2.00", "8.0"]);
        assert_eq!(told(" theirs |"), ["reference", "theirs", "1.00", "4.0"]);
        assert_eq!(cells(&part, " gone |")[3], "failed");
        assert_eq!(part.failures.len(), 1);
    }
}
