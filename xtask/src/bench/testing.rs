//! Sides without processes, for tests.

use super::args::Work;
use super::measure::{Measured, Timed};
use super::plan::Case;
use super::rows::Group;
use super::shape::Shape;
use super::side::Stopped;
use super::sides::Role;

pub(super) fn side(name: &str, role: Role, seconds: &[f64]) -> Measured {
    let timed = Timed {
        seconds: seconds.to_vec(),
        shape: Shape {
            passes: 27,
            levels: 12,
            frames: 500,
            parameters: 7,
        },
        stopped: Stopped {
            peak_mib: Some(99.5),
            versions: Some(format!("{name} 1")),
        },
    };
    let result = match seconds {
        [] => Err("out of memory".to_owned()),
        _ => Ok(timed),
    };
    Measured {
        side: name.to_owned(),
        role,
        result,
    }
}

pub(super) fn group(sides: Vec<Measured>) -> Group {
    let case = Case {
        work: Work::Generate,
        preset: "reference".to_owned(),
        frames: 500,
        batch: 2,
        steps: "16,1".to_owned(),
    };
    Group { case, sides }
}
