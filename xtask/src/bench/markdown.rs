//! A report as Markdown: for the terminal its sections, for the file what a reader needs besides.

use super::report::Report;
use super::stats::table;

/// What the reader should hold against the figures.
const LIMITS: &str = "Weights are random: what a model computes is the same work, and what it says is noise. Times \
     hold for this machine, these versions and these sizes, and where the machine is shared, the spread says how far \
     single runs are from the median.";

impl Report {
    /// The sections, as they stand in the Markdown too.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(warning) = &self.warning {
            text += &format!("**{warning}**\n\n");
        }
        for part in &self.parts {
            text += &format!("## {}\n\n{}", part.title, part.text);
            for failure in &part.failures {
                text += &format!("\nFailed: {failure}\n");
            }
            for unsteady in &part.unsteady {
                text += &format!("\nUnsteady: {unsteady}\n");
            }
            text.push('\n');
        }
        text
    }

    /// The file; `picture` says whether there is one beside it.
    pub(super) fn markdown(&self, picture: bool) -> String {
        let facts = self.machine.iter().cloned().chain(self.all_versions());
        let facts: Vec<Vec<String>> = facts.map(|(name, value)| vec![name, value]).collect();
        let name = &self.name;
        let picture = match picture {
            true => format!("![medians, and whiskers from the least to the most]({name}.svg)\n\n"),
            false => String::new(),
        };
        format!(
            "# {name}\n\nWritten by\n\n```\n{}\n```\n\n\
             Device `{}`, {} threads a side. Each side is one process that builds its model first; then all do one \
             run after the other, and who goes first alternates: {} of each to warm up, which also waits for all to \
             load, and {} timed. The table has the median, the least and the most; the peak is the most memory of \
             the machine that the process ever held, that of a GPU not counted. Without another type in its name, a \
             side computes in f32. {LIMITS}\n\n{picture}{}## Machine and versions\n\n{}",
            self.command,
            self.device,
            self.threads,
            runs(self.warmup),
            self.runs,
            self.text(),
            table(&["", ""], &facts),
        )
    }
}

fn runs(count: usize) -> String {
    match count {
        1 => "one run".to_owned(),
        count => format!("{count} runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;

    #[test]
    fn markdown_names_command_method_machine_and_limits() {
        let text = report().markdown(true);
        for part in [
            "# small-50",
            "```\ncargo xtask bench --quick\n```",
            "2 threads a side",
            "one run of each to warm up",
            "3 timed",
            "(small-50.svg)",
            "Weights are random",
            "**Busy**",
            "## Part 1\n\nrow 1",
            "Failed: 2 broke",
            "Unsteady: 1 shook",
            "Fast",
            "abc",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!report().markdown(false).contains("svg"));
    }
}
